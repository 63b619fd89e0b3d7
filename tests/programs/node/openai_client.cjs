// An ordinary Node program with the `openai` package: streamed and not, also at the same time.
//
// Where the server is comes from OPENAI_BASE_URL, as always. For the comparison at the demo's end
// it adds what it received to the file that RECORDS names.

'use strict';

const fs = require('node:fs');
const OpenAI = require('openai');

const client = new OpenAI();
const model = 'smollm2-135m-instruct';

class Received {
  constructor(request) {
    this.record = {
      path: '/v1/chat/completions',
      request_model: request.model,
      max_tokens: request.max_tokens,
      stream: request.stream ?? false,
      status: 200,
      pid: process.pid,
    };
  }

  take(field, value) {
    if (value !== null && value !== undefined) this.record[field] = value;
  }

  /** A chat completion, or one chunk of it. */
  read(answer) {
    this.take('response_id', answer.id);
    this.take('response_model', answer.model);
    for (const choice of answer.choices) this.take('finish', choice.finish_reason);
    const { usage } = answer;
    this.take('input_tokens', usage?.prompt_tokens);
    this.take('output_tokens', usage?.completion_tokens);
    this.take('cached_tokens', usage?.prompt_tokens_details?.cached_tokens);
    this.take('reasoning_tokens', usage?.completion_tokens_details?.reasoning_tokens);
    return this;
  }

  write() {
    fs.appendFileSync(process.env.RECORDS, `${JSON.stringify(this.record)}\n`);
  }
}

function request(question, more) {
  return { model, messages: [{ role: 'user', content: question }], max_tokens: 40, ...more };
}

async function plain() {
  const body = request('Name a fruit.');
  new Received(body).read(await client.chat.completions.create(body)).write();
}

async function streamed() {
  const body = request('What is rain?', {
    stream: true,
    stream_options: { include_usage: true },
  });
  const received = new Received(body);
  for await (const chunk of await client.chat.completions.create(body)) received.read(chunk);
  received.write();
}

Promise.all([plain(), streamed()]);
