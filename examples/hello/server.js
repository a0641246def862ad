'use strict';

const http = require('node:http');
const express = require('express');
const helmet = require('helmet');
const { WebSocketServer } = require('ws');
const { debugRoutes } = require('./lib/debug');
const { identity, release } = require('./lib/identity');
const { log } = require('./lib/log');
const { recorder } = require('./lib/recorder');

const port = Number(process.env.PORT || 3000);
// How long /healthz answers 503 after the start, as an app that fills its caches first would.
const warmUntil = Date.now() + Number(process.env.WARMUP_MS || 0);
const brokenHealth = process.env.BREAK_HEALTH === '1';
const SLOW_MS = 2000;

let stopping = false;
const inFlight = new Set();
const record = recorder();

const app = express();
app.use((req, res, next) => {
  inFlight.add(res);
  res.once('close', () => {
    inFlight.delete(res);
    // An answer whose headers were out before the stop could not say `Connection: close`.
    if (stopping) setImmediate(() => server.closeIdleConnections());
  });
  if (stopping) res.setHeader('Connection', 'close');
  if (release) res.setHeader('X-Apphost-Release', release);
  next();
});
app.use(helmet());

app.get('/healthz', (req, res) => {
  const healthy = !brokenHealth && !stopping && Date.now() >= warmUntil;
  res.status(healthy ? 200 : 503).json({ healthy, ...identity });
});

app.use((req, res, next) => {
  record(req.get('x-request-id'));
  next();
});

app.get('/', (req, res) => res.json(identity));

app.get('/slow', (req, res) => {
  setTimeout(() => res.json({ slept: SLOW_MS, ...identity }), SLOW_MS);
});

app.post('/orders', express.json(), (req, res) => {
  res.status(201).json({ id: req.get('x-request-id') || null, ...identity });
});

if (process.env.DEBUG_ROUTES === '1') app.use('/debug', debugRoutes());

const server = http.createServer(app);
// Longer than any proxy in front keeps an idle connection (nginx 60 s, HAProxy usually less): the side that
// sends the requests must be the one that closes, or it sends one into a connection that has just gone.
server.keepAliveTimeout = 75_000;
server.headersTimeout = 80_000;

const sockets = new WebSocketServer({ server, path: '/ws' });
sockets.on('connection', (socket) => {
  socket.on('error', (error) => log.warn({ error: error.message }, 'websocket'));
  socket.on('message', (data) => socket.send(JSON.stringify({ echo: data.toString(), ...identity })));
  socket.send(JSON.stringify({ hello: true, ...identity }));
});

function stop(signal) {
  if (stopping) return;
  stopping = true;
  log.info({ signal, inFlight: inFlight.size, sockets: sockets.clients.size }, 'stopping');
  for (const res of inFlight) {
    if (!res.headersSent) res.setHeader('Connection', 'close');
  }
  // 1001, going away: clients of WebSockets take it as "connect again".
  for (const socket of sockets.clients) socket.close(1001, 'restarting');
  setTimeout(() => sockets.clients.forEach((socket) => socket.terminate()), 2000).unref();
  server.close(() => {
    log.info('stopped');
    process.exit(0);
  });
  server.closeIdleConnections();
}

process.on('SIGTERM', stop);
process.on('SIGINT', stop);

server.on('error', (error) => {
  log.fatal({ port, error: error.message }, 'cannot listen');
  process.exit(1);
});
server.listen(port, () => log.info({ port, ...identity }, 'listening'));
