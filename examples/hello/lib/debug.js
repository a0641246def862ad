'use strict';

const cluster = require('node:cluster');
const os = require('node:os');
const path = require('node:path');
const express = require('express');

// Long enough for a cold DNS and TLS handshake, short enough for a test to wait for.
const TIMEOUT_MS = 5000;

/** Starts a cluster worker and answers with its process id, as an app that uses every core would. */
function forkWorker() {
  return new Promise((resolve, reject) => {
    cluster.setupPrimary({ exec: path.join(__dirname, 'cluster-worker.js') });
    const worker = cluster.fork();
    const timer = setTimeout(() => worker.kill('SIGKILL'), TIMEOUT_MS);
    worker.once('message', (message) => resolve(message.pid));
    worker.once('error', reject);
    worker.once('exit', (code, signal) => {
      clearTimeout(timer);
      reject(new Error(`the worker ended with ${signal || code}`));
    });
  });
}

/** Sends a request out: to DEBUG_OUTBOUND_URL, else to this app itself. The address is never the caller's. */
async function outbound() {
  const url = process.env.DEBUG_OUTBOUND_URL || `http://127.0.0.1:${process.env.PORT || 3000}/healthz`;
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return response.status;
}

const checks = {
  user: () => ({ uid: process.getuid(), gid: process.getgid() }),
  cwd: () => process.cwd(),
  node: () => process.version,
  cpus: () => {
    if (os.cpus().length === 0) throw new Error('os.cpus() is empty');
    return os.cpus().length;
  },
  interfaces: () => Object.keys(os.networkInterfaces()),
  cluster: forkWorker,
  outbound,
};

async function outcome(check) {
  try {
    return { ok: true, value: await check() };
  } catch (error) {
    return { ok: false, error: String(error.cause ? error.cause.message : error.message) };
  }
}

/** `/debug/whoami`: everything a sandbox may have broken. `/debug/whoami/<check>`: one of them. 500 when one fails. */
function debugRoutes() {
  const router = express.Router();
  const answer = async (names, res) => {
    const found = {};
    for (const name of names) found[name] = await outcome(checks[name]);
    const ok = Object.values(found).every((check) => check.ok);
    res.status(ok ? 200 : 500).json({ ok, checks: found });
  };
  router.get('/whoami', (req, res) => answer(Object.keys(checks), res));
  router.get('/whoami/:check', (req, res, next) => {
    if (!Object.hasOwn(checks, req.params.check)) return next();
    return answer([req.params.check], res);
  });
  return router;
}

module.exports = { debugRoutes };
