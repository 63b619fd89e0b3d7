// Load from one Node process, by its `https` module: CONNECTIONS connections, CALLS calls on each.
//
// usage: load.cjs PORT CONNECTIONS CALLS CALL-JSON
// Prints one JSON record a call, as tests/programs/python/calls.py describes it.

'use strict';

const https = require('node:https');
const { performance } = require('node:perf_hooks');

const [port, connections, calls] = process.argv.slice(2, 5).map(Number);
const options = JSON.parse(process.argv[5]);
const { body_bytes: bodyBytes = 0, stream = true, ...plan } = options;

/** Seconds of the realtime clock, finer than Date gives them. */
const now = () => (performance.timeOrigin + performance.now()) / 1000;

function requestOf(n, path) {
  const request = {
    model: `model-${n % 5}`,
    max_tokens: 100 + n,
    messages: [{ role: 'user', content: '' }],
  };
  if (stream) request.stream = true;
  if (stream && path.endsWith('completions')) request.stream_options = { include_usage: true };
  const padding = bodyBytes - JSON.stringify(request).length;
  request.messages[0].content = 'p'.repeat(Math.max(padding, 1));
  return request;
}

/** Takes one event of a stream, or a whole answer, of either provider. */
function read(record, value) {
  const message = value.message ?? value;
  if (message.id) {
    record.response_id = message.id;
    record.response_model = message.model;
  }
  for (const choice of value.choices ?? []) {
    if (choice.delta) record.chunks += 1;
    if (choice.finish_reason) record.finish = choice.finish_reason;
  }
  if (value.type === 'content_block_delta') record.chunks += 1;
  const reason = message.stop_reason ?? value.delta?.stop_reason;
  if (reason) record.finish = reason;
  readUsage(record, message.usage ?? value.usage ?? {});
}

function readUsage(record, usage) {
  if (usage.prompt_tokens !== undefined) {
    record.input_tokens = usage.prompt_tokens;
    record.output_tokens = usage.completion_tokens;
    record.cached_tokens = usage.prompt_tokens_details.cached_tokens;
    record.reasoning_tokens = usage.completion_tokens_details.reasoning_tokens;
  }
  if (usage.input_tokens !== undefined) {
    record.cached_tokens = usage.cache_read_input_tokens;
    record.input_tokens =
      usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
  }
  if (usage.output_tokens !== undefined) record.output_tokens = usage.output_tokens;
}

function call(agent, n) {
  const path = n % 2 ? '/v1/messages' : '/v1/chat/completions';
  const value = requestOf(n, path);
  const body = Buffer.from(JSON.stringify(value));
  const id = `n${n}`;
  const record = {
    id,
    path,
    stream,
    request_model: value.model,
    max_tokens: value.max_tokens,
    request_bytes: body.length,
    chunks: 0,
    pid: process.pid,
  };
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'x-test': JSON.stringify({ id, n, ...plan }),
  };
  return new Promise((resolve, reject) => {
    record.start = now();
    const request = https.request(
      { host: 'localhost', port, path, method: 'POST', agent, headers },
      (response) => {
        record.status = response.statusCode;
        let rest = '';
        response.setEncoding('utf8');
        response.on('data', (data) => {
          const time = now();
          rest += data;
          if (!stream) return;
          const events = rest.split('\n\n');
          rest = events.pop();
          for (const event of events) {
            for (const line of event.split('\n')) {
              if (!line.startsWith('data: ') || line === 'data: [DONE]') continue;
              record.first ??= time;
              read(record, JSON.parse(line.slice(6)));
            }
          }
        });
        response.on('end', () => {
          if (rest) read(record, JSON.parse(rest));
          record.end = now();
          console.log(JSON.stringify(record));
          resolve();
        });
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

async function worker(number) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  for (let index = 0; index < calls; index += 1) await call(agent, number * calls + index);
  agent.destroy();
}

Promise.all(Array.from({ length: connections }, (_, number) => worker(number)));
