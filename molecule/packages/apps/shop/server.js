'use strict';
// Says which packages it was given.

const http = require('node:http');

const said = JSON.stringify({
  own: require('ms/package.json').version,
  workspace: require('@shop/greeting').ms,
  // Compiled: it is asked for the extended attributes of the program, of which there are none.
  attributes: require('fs-xattr').listSync(process.execPath),
});

const server = http.createServer((req, res) => res.end(req.url === '/healthz' ? 'healthy\n' : said));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
server.listen(Number(process.env.PORT));
