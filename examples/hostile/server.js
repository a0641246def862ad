'use strict';

// Everything a deployment dislikes, and much of what is in production: no signal is handled (SIGTERM cuts requests
// in flight), the boot is slow, some requests are slow, idle connections are closed after Node.js' own 5 seconds.
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const ms = require('ms');
const { name, version } = require('./package.json');

const port = Number(process.env.PORT || 3000);
const bootTime = ms(process.env.BOOT_TIME || '3s');
const slowTime = ms(process.env.SLOW_TIME || '2s');
// 20: every 20th request is slow, whatever it asks. 0: only /slow is.
const slowEvery = Number(process.env.SLOW_EVERY || 0);
const release = process.env.APPHOST_RELEASE || null;
const data = process.env.APPHOST_DATA;
const executed =
  process.env.RECORD_REQUESTS === '1' && data ? fs.openSync(path.join(data, 'executed.log'), 'a', 0o640) : null;

let served = 0;

function answer(req, res, status) {
  const body = {
    app: name,
    version,
    release,
    instance: process.env.APPHOST_INSTANCE || null,
    pid: process.pid,
    id: req.headers['x-request-id'] || null,
  };
  res.writeHead(status, { 'Content-Type': 'application/json', ...(release && { 'X-Apphost-Release': release }) });
  res.end(`${JSON.stringify(body)}\n`);
}

const server = http.createServer((req, res) => {
  const [pathname] = req.url.split('?');
  if (pathname === '/healthz') {
    answer(req, res, process.env.BREAK_HEALTH === '1' ? 503 : 200);
    return;
  }
  const id = req.headers['x-request-id'];
  if (executed !== null && id && /^[\w.-]{1,100}$/.test(id)) {
    fs.writeSync(executed, `${id} ${release || '-'} ${process.pid}\n`);
  }
  served += 1;
  const slow = pathname === '/slow' || (slowEvery > 0 && served % slowEvery === 0);
  req.resume();
  setTimeout(() => answer(req, res, req.method === 'POST' ? 201 : 200), slow ? slowTime : 0);
});

setTimeout(() => server.listen(port), bootTime);
