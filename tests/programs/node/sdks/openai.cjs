// `openai`: chat completions, completions, responses, embeddings; also of its likes.

'use strict';

const OpenAI = require('openai');
const { parts } = require('./said.cjs');

function client(job, end) {
  const query = new URLSearchParams(job.path.split('?')[1] ?? '');
  return new OpenAI({
    apiKey: 'none',
    baseURL: job.base(end),
    defaultQuery: Object.fromEntries(query),
    maxRetries: job.retries,
  });
}

function failure(error) {
  if (!(error instanceof OpenAI.APIError)) return null;
  if (error instanceof OpenAI.APIConnectionError) return null;
  return { status: error.status ?? 200, code: error.code ?? null, type: error.type ?? null };
}

function usage(said, read) {
  said.usage({
    input_tokens: read?.prompt_tokens,
    output_tokens: read?.completion_tokens,
    cached_tokens: read?.prompt_tokens_details?.cached_tokens,
    reasoning_tokens: read?.completion_tokens_details?.reasoning_tokens,
  });
}

function tools(said, choice, message) {
  for (const [at, call] of (message.tool_calls ?? []).entries()) {
    const key = `${choice}-${call.index ?? at}`;
    said.tool(key, call.id, call.function.name, call.function.arguments);
  }
  // As it was before there could be several.
  const only = message.function_call;
  if (only) said.tool(`${choice}`, null, only.name, only.arguments);
}

async function chat(job, said) {
  const answer = await client(job, '/chat/completions').chat.completions.create(job.request);
  for await (const part of parts(job, answer)) {
    said.answer(part.id || null, part.model || null);
    for (const choice of part.choices ?? []) {
      said.finish(choice.finish_reason, choice.index);
      const message = choice.delta ?? choice.message;
      if (!message) continue;
      said.text(message.content);
      tools(said, choice.index, message);
    }
    usage(said, part.usage);
  }
}

async function completions(job, said) {
  const answer = await client(job, '/completions').completions.create(job.request);
  for await (const part of parts(job, answer)) {
    said.answer(part.id, part.model);
    for (const choice of part.choices) {
      said.finish(choice.finish_reason, choice.index);
      said.text(choice.text);
    }
    usage(said, part.usage);
  }
}

async function responses(job, said) {
  let answer = await client(job, '/responses').responses.create(job.request);
  if (job.stream) {
    const events = answer;
    for await (const event of events) answer = event.response ?? answer;
  }
  said.answer(answer.id, answer.model);
  // This API has a status where others have a reason to finish.
  said.finish(answer.status);
  said.text('');
  for (const item of answer.output) {
    if (item.type === 'function_call') {
      said.tool(item.id, item.call_id, item.name, item.arguments);
    }
    for (const piece of item.content ?? []) {
      if (piece.type === 'output_text') said.text(piece.text);
    }
  }
  said.usage({
    input_tokens: answer.usage?.input_tokens,
    output_tokens: answer.usage?.output_tokens,
    cached_tokens: answer.usage?.input_tokens_details?.cached_tokens,
    reasoning_tokens: answer.usage?.output_tokens_details?.reasoning_tokens,
  });
}

async function embeddings(job, said) {
  const answer = await client(job, '/embeddings').embeddings.create(job.request);
  said.tell('response_model', answer.model);
  said.usage({ input_tokens: answer.usage?.prompt_tokens });
}

module.exports = { calls: { chat, completions, responses, embeddings }, failure };
