// `@google/genai`: generated content and embeddings of the Gemini API.

'use strict';

const { ApiError, GoogleGenAI } = require('@google/genai');
const { parts, total } = require('./said.cjs');

function models(job) {
  const httpOptions = { baseUrl: job.url, apiVersion: job.path.split('/')[1] };
  if (job.retries) httpOptions.retryOptions = { attempts: 1 + job.retries };
  return new GoogleGenAI({ apiKey: 'none', httpOptions }).models;
}

/** The path names it. */
function model(job) {
  return job.path.split('/models/')[1].split(':')[0];
}

function failure(error) {
  return error instanceof ApiError ? { status: error.status } : null;
}

async function generate(job, said) {
  const api = models(job);
  const { contents, generationConfig, safetySettings, systemInstruction, tools } = job.request;
  const config = { ...generationConfig, safetySettings, systemInstruction, tools };
  const request = { model: model(job), contents, config };
  const answer = job.stream
    ? await api.generateContentStream(request)
    : await api.generateContent(request);
  for await (const part of parts(job, answer)) {
    said.answer(part.responseId, part.modelVersion);
    for (const [at, candidate] of (part.candidates ?? []).entries()) {
      tell(said, candidate.index ?? at, candidate);
    }
    const read = part.usageMetadata;
    said.usage({
      // As the semantic conventions count them.
      input_tokens: total(read?.promptTokenCount, read?.toolUsePromptTokenCount),
      output_tokens: total(read?.candidatesTokenCount, read?.thoughtsTokenCount),
      cached_tokens: read?.cachedContentTokenCount,
      reasoning_tokens: read?.thoughtsTokenCount,
    });
  }
}

function tell(said, choice, candidate) {
  said.finish(candidate.finishReason, choice);
  said.text('');
  for (const piece of candidate.content?.parts ?? []) {
    if (piece.text && !piece.thought) said.text(piece.text);
    const call = piece.functionCall;
    if (call) said.tool(said.calls.size, call.id, call.name, call.args);
  }
}

async function embed(job, said) {
  const wanted = job.request.requests ?? [job.request];
  const contents = wanted.map((part) => part.content.parts[0].text);
  await models(job).embedContent({ model: model(job), contents });
}

module.exports = { calls: { generate, embed }, failure };
