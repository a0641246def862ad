'use strict';
// Run in the folder of an app: serves one request with what was installed there, and prints the answer.

const path = require('node:path');
const { createRequire } = require('node:module');

const load = createRequire(path.join(process.cwd(), 'app.js'));
const express = load('express');
// Compiled: it is asked for the extended attributes of the program, of which there are none.
const attributes = load('fs-xattr').listSync(process.execPath);

const server = express()
  .get('/', (req, res) => res.json({ attributes }))
  .listen(0, '127.0.0.1', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}`);
    console.log(await answer.text());
    server.close();
  });
