// Calls LLM SDKs as it is told, and prints what their own objects say of each answer.
//
// usage: client.cjs JOBS     (a file with one job a line, as `job.py` of the Python client has
//                             them; prints one JSON object a job)

'use strict';

const fs = require('node:fs');
const { Said } = require('./said.cjs');

/** The URL without that end of its path which the SDK appends by itself. */
function base(job, end) {
  const [path] = job.path.split('?');
  return job.url + (path.endsWith(end) ? path.slice(0, path.length - end.length) : path);
}

async function carryOut(job) {
  const said = new Said();
  const { calls, failure } = require(`./${job.sdk}.cjs`);
  try {
    await calls[job.call]({ ...job, base: (end) => base(job, end) }, said);
  } catch (error) {
    const told = failure(error);
    if (!told) return { case: job.case, refused: String(error).slice(0, 500) };
    said.failed({ ...told, message: String(error.message ?? error).slice(0, 500) });
  }
  return { case: job.case, pid: process.pid, ...said.record() };
}

async function main(jobs) {
  for (const line of fs.readFileSync(jobs, 'utf8').split('\n')) {
    if (line) console.log(JSON.stringify(await carryOut(JSON.parse(line))));
  }
}

main(process.argv[2]);
