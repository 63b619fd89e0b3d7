// What an SDK's objects say of one call, under the names that `said.py` of the Python client has.
//
// A field that the SDK says to be absent is null; one that the SDK has no word for is not there.
// Nothing is taken from the request, or from the bytes that passed.

'use strict';

class Said {
  constructor() {
    this.fields = {};
    this.length = null;
    this.reasons = null;
    this.calls = new Map();
  }

  /** Of a stream the last chunk that says anything counts. */
  tell(name, value) {
    if (value !== undefined && value !== null) this.fields[name] = value;
    else this.fields[name] ??= null;
  }

  answer(id, model) {
    this.tell('response_id', id);
    this.tell('response_model', model);
  }

  usage(counts) {
    for (const [name, count] of Object.entries(counts)) this.tell(name, count);
  }

  text(text) {
    // In characters, not in units of UTF-16.
    this.length = (this.length ?? 0) + [...(text ?? '')].length;
  }

  finish(reason, choice = 0) {
    this.reasons ??= [];
    if (reason) this.reasons[choice] = reason;
  }

  /** A call, or a piece of it: pieces with the same key are one call. */
  tool(key, id, name, given) {
    const call = this.calls.get(key) ?? { id: null, name: null, arguments: '' };
    call.id = id ?? call.id;
    call.name = name ?? call.name;
    if (given !== undefined && given !== null) {
      call.arguments += typeof given === 'string' ? given : JSON.stringify(given);
    }
    this.calls.set(key, call);
  }

  failed(told) {
    this.fields.failed = told;
  }

  record() {
    if (this.fields.failed) return this.fields;
    const record = { ...this.fields };
    if (this.reasons) record.finish_reasons = this.reasons.filter(Boolean);
    if (this.length !== null) {
      record.text_length = this.length;
      record.tool_calls = [...this.calls.values()];
    }
    return record;
  }
}

/** The items of a stream, or the answer that is no stream. */
async function* parts(job, answer) {
  if (job.stream) yield* answer;
  else yield answer;
}

/** The sum of the counts that were told; null if none was. */
function total(...counts) {
  const told = counts.filter((count) => count !== undefined && count !== null);
  return told.length ? told.reduce((sum, count) => sum + count, 0) : null;
}

module.exports = { Said, parts, total };
