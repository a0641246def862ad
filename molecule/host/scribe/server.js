'use strict';
// Writes numbered lines to standard output and to its own log files, opens those again on SIGUSR2, and says who it is.

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');

const port = Number(process.env.PORT);
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455, 1.3
const LINE_EVERY_MS = 5;

let calls = 0;
let logs = [];

function openLogs() {
  logs.forEach(fs.closeSync);
  const folder = process.env.OWN_LOGS;
  logs = folder ? ['signal.log', 'copy.log'].map((name) => fs.openSync(path.join(folder, name), 'a')) : [];
}

let count = 0;
setInterval(() => {
  count += 1;
  const line = `${port} ${count}\n`;
  fs.writeSync(1, line);
  logs.forEach((log) => fs.writeSync(log, line));
}, LINE_EVERY_MS);

openLogs();
process.on('SIGUSR2', openLogs);

const server = http.createServer((req, res) => {
  if (req.url === '/healthz') return res.end('healthy\n');
  // The counted call: it runs, and the connection breaks before the answer.
  if (req.url === '/break') {
    calls += 1;
    return req.socket.destroy();
  }
  if (req.url === '/own-error') {
    res.statusCode = 503;
    return res.end('the error of the app itself\n');
  }
  res.setHeader('Content-Type', 'application/json');
  const filler = req.url === '/big' ? 'x'.repeat(20_000) : undefined;
  return res.end(JSON.stringify({ port, calls, count, uid: process.getuid(), headers: req.headers, filler }));
});

server.on('upgrade', (req, socket) => {
  const accept = crypto.createHash('sha1').update(req.headers['sec-websocket-key'] + WEBSOCKET_GUID).digest('base64');
  const answer = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
  socket.write([...answer, `Sec-WebSocket-Accept: ${accept}`, '', ''].join('\r\n'));
  // The frames come back as they are; the proxy between does not look into them.
  socket.pipe(socket);
});

process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
server.listen(port);
