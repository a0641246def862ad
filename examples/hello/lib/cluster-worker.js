'use strict';

// What /debug/whoami forks: says who it is and ends.
process.send({ pid: process.pid }, () => process.exit(0));
