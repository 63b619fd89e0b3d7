// `ai` (Vercel's AI SDK) with its providers for OpenAI and Anthropic.
//
// It has a call of its own for what providers call by many names, so of the recorded request only
// model and tools are asked for again.

'use strict';

const ai = require('ai');
const { createAnthropic } = require('@ai-sdk/anthropic');
const { createOpenAI } = require('@ai-sdk/openai');

globalThis.AI_SDK_LOG_WARNINGS = false;

function failure(error) {
  const told = ai.RetryError.isInstance(error) ? error.lastError : error;
  // One within a stream is the server's own object.
  if (!(told instanceof Error)) return { status: 200, code: told.code ?? null, type: told.type };
  if (!ai.APICallError.isInstance(told) || !(told.statusCode >= 400)) return null;
  return { status: told.statusCode };
}

function tools(request) {
  const names = (request.tools ?? []).map((tool) => tool.function?.name ?? tool.name);
  const inputSchema = ai.jsonSchema({ type: 'object' });
  return Object.fromEntries(names.filter(Boolean).map((name) => [name, ai.tool({ inputSchema })]));
}

async function generate(job, said, model) {
  let failed = null;
  const request = {
    model,
    prompt: 'Hello!',
    tools: tools(job.request),
    maxRetries: job.retries,
    onError: ({ error }) => (failed ??= error),
  };
  const answer = job.stream ? ai.streamText(request) : await ai.generateText(request);
  if (job.stream) {
    await answer.consumeStream();
    if (failed) throw failed;
  }
  const { id, modelId } = await answer.response;
  said.answer(id, modelId);
  const reason = await answer.rawFinishReason;
  // Of the Responses API it keeps why an answer is incomplete, not how far it came.
  if (job.call !== 'responses') said.finish(reason);
  said.text(await answer.text);
  for (const call of await answer.toolCalls) {
    // A tool of the provider's own is no call that the model asks the client for.
    if (call.providerExecuted) continue;
    said.tool(call.toolCallId, call.toolCallId, call.toolName, call.input);
  }
  const usage = await answer.usage;
  said.usage({ input_tokens: usage.inputTokens, output_tokens: usage.outputTokens });
}

function openai(job, end) {
  return createOpenAI({ apiKey: 'none', baseURL: job.base(end) });
}

async function chat(job, said) {
  await generate(job, said, openai(job, '/chat/completions').chat(job.request.model));
}

async function responses(job, said) {
  await generate(job, said, openai(job, '/responses').responses(job.request.model));
}

async function messages(job, said) {
  const anthropic = createAnthropic({ apiKey: 'none', baseURL: job.base('/messages') });
  await generate(job, said, anthropic(job.request.model));
}

async function embeddings(job, said) {
  const model = openai(job, '/embeddings').embedding(job.request.model);
  const values = [job.request.input].flat();
  const { usage } = await ai.embedMany({ model, values, maxRetries: job.retries });
  said.usage({ input_tokens: usage.tokens });
}

module.exports = { calls: { chat, responses, messages, embeddings }, failure };
