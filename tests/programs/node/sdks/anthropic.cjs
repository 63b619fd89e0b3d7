// `@anthropic-ai/sdk`: messages; a stream is put together by the SDK itself.

'use strict';

const Anthropic = require('@anthropic-ai/sdk');
const { total } = require('./said.cjs');

function failure(error) {
  if (!(error instanceof Anthropic.APIError)) return null;
  if (error instanceof Anthropic.APIConnectionError) return null;
  return { status: error.status ?? 200, type: error.error?.error?.type ?? null };
}

async function messages(job, said) {
  const client = new Anthropic({
    apiKey: 'none',
    baseURL: job.base('/v1/messages'),
    maxRetries: job.retries,
  });
  const { stream: _, ...request } = job.request;
  const answer = job.stream
    ? await client.messages.stream(request).finalMessage()
    : await client.messages.create(request);
  said.answer(answer.id, answer.model);
  said.finish(answer.stop_reason);
  said.text('');
  for (const block of answer.content) {
    if (block.type === 'text') said.text(block.text);
    if (block.type === 'tool_use') said.tool(block.id, block.id, block.name, block.input);
  }
  const { usage } = answer;
  const [read, written] = [usage.cache_read_input_tokens, usage.cache_creation_input_tokens];
  said.usage({
    // All that went in, as the semantic conventions count it.
    input_tokens: total(usage.input_tokens, read, written),
    output_tokens: usage.output_tokens,
    cached_tokens: read,
    cache_written_tokens: written,
  });
}

module.exports = { calls: { messages }, failure };
