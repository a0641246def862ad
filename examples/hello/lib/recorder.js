'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { release } = require('./identity');

/**
 * With RECORD_REQUESTS=1: writes `id release pid` to APPHOST_DATA/executed.log for every request that is executed.
 * A file in append mode keeps the lines of all instances over restarts, so a test can count what ran twice.
 */
function recorder() {
  if (process.env.RECORD_REQUESTS !== '1' || !process.env.APPHOST_DATA) return () => {};
  const file = fs.openSync(path.join(process.env.APPHOST_DATA, 'executed.log'), 'a', 0o640);
  return (id) => {
    if (id && /^[\w.-]{1,100}$/.test(id)) fs.writeSync(file, `${id} ${release || '-'} ${process.pid}\n`);
  };
}

module.exports = { recorder };
