'use strict';

const pino = require('pino');

// One JSON object a line on standard output; the journal adds time and unit by itself.
const log = pino({ base: null, timestamp: false, formatters: { level: (level) => ({ level }) } });

module.exports = { log };
