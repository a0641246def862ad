'use strict';

const { identity } = require('./lib/identity');
const { log } = require('./lib/log');

// A process without a port, as a queue's consumer would be; `worker` in the app's `processes`.
const INTERVAL_MS = 10_000;

const timer = setInterval(() => log.info(identity, 'nothing to do'), INTERVAL_MS);
process.on('SIGTERM', () => {
  log.info('stopped');
  clearInterval(timer);
});
log.info(identity, 'working');
