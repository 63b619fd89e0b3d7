// Makes the calls of a job by `fetch`, as Bun and Node have it built in.
//
// usage: fetch.mjs PORT JOB     (JOB: a connection a line, see mixed/plan.rs)

import { readFileSync } from 'node:fs';

const [port, job] = process.argv.slice(2);

async function make(call) {
  const response = await fetch(`https://localhost:${port}${call.path}`, {
    method: call.method,
    headers: { ...Object.fromEntries(call.headers), 'x-plan': JSON.stringify(call.plan) },
    body: Buffer.concat(call.body.map((piece) => Buffer.from(piece, 'base64'))),
  });
  for await (const _ of response.body);
  if (response.status !== call.plan.status) throw new Error(`${call.plan.id}: ${response.status}`);
}

async function connection({ calls }) {
  for (const call of calls) await make(call);
}

const jobs = readFileSync(job, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
await Promise.all(jobs.map(connection));
