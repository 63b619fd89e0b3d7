// The part of the mixed load that one Node process makes, by its `https` and `http2` modules.
//
// usage: mixed.cjs PORT JOB     (JOB: a connection a line, see mixed/plan.rs)

'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const http2 = require('node:http2');
const https = require('node:https');

const port = Number(process.argv[2]);
const STREAMS = 20;

const fields = (call) => ({
  ...Object.fromEntries(call.headers),
  'x-plan': JSON.stringify(call.plan),
});
const pieces = (call) => call.body.map((piece) => Buffer.from(piece, 'base64'));

/** Sends the pieces; a piece each turn where there are several. */
async function send(stream, body) {
  for (const piece of body) {
    stream.write(piece);
    if (body.length > 1) await new Promise(setImmediate);
  }
  stream.end();
}

/** Resolves when the answer is over, or was left by `leave` as planned. */
function take(call, stream, leave, resolve, reject) {
  stream.on('data', () => {
    if (!call.plan.hangs) return;
    leave();
    resolve();
  });
  stream.on('end', () => {
    if (call.plan.hangs) reject(new Error(`${call.plan.id} ended, and should hang`));
    else resolve();
  });
}

function overHttp1(agent, call) {
  const body = pieces(call);
  const headers = fields(call);
  if (body.length === 1) headers['content-length'] = body[0].length;
  return new Promise((resolve, reject) => {
    const options = { host: 'localhost', port, path: call.path, method: call.method, agent, headers };
    const request = https.request(options, (response) => {
      assert.strictEqual(response.statusCode, call.plan.status);
      take(call, response, () => response.destroy(), resolve, reject);
      response.on('error', reject);
    });
    request.on('error', reject);
    if (headers.expect) request.on('continue', () => send(request, body));
    else send(request, body);
  });
}

function overHttp2(session, call) {
  const body = pieces(call);
  const headers = { ':method': call.method, ':path': call.path, ...fields(call) };
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body.length === 0 });
    stream.on('response', (head) => {
      if (head[':status'] !== call.plan.status) reject(new Error(`${call.plan.id}: ${head[':status']}`));
    });
    const leave = () => stream.close(http2.constants.NGHTTP2_CANCEL);
    take(call, stream, leave, resolve, reject);
    stream.on('error', reject);
    if (body.length > 0) send(stream, body);
  });
}

async function connection({ protocol, calls }) {
  if (protocol === 'http1') {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    for (const call of calls) await overHttp1(agent, call);
    agent.destroy();
    return;
  }
  const session = http2.connect(`https://localhost:${port}`);
  for (let from = 0; from < calls.length; from += STREAMS) {
    const round = calls.slice(from, from + STREAMS);
    await Promise.all(round.map((call) => overHttp2(session, call)));
  }
  await new Promise((resolve) => session.close(resolve));
}

const jobs = fs.readFileSync(process.argv[3], 'utf8').trim().split('\n').map((line) => JSON.parse(line));
Promise.all(jobs.map(connection)).catch((error) => {
  console.error(error);
  process.exit(1);
});
