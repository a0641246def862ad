'use strict';

const { name, version } = require('../package.json');

const release = process.env.APPHOST_RELEASE || null;

// Who answers: in every response that says so, and in the first log line.
const identity = Object.freeze({
  app: name,
  version,
  release,
  instance: process.env.APPHOST_INSTANCE || null,
  pid: process.pid,
});

module.exports = { identity, release };
