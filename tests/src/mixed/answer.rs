//! What the server answers: decided by the plan in the request's head and by the request's body.
//! Takes both; gives the pieces of the response's body, before its content coding.
//! Every number in an answer derives from the request, so that no two look alike.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::plan::{Form, Plan};

/// # Errors
/// The body is not that of the request that the plan belongs to.
pub fn answer(plan: &Plan, method: &str, request: &[u8]) -> Result<Vec<Vec<u8>>> {
    let request: Value = if request.is_empty() {
        json!({"user": plan.id})
    } else {
        serde_json::from_slice(request).context("the request's body is no JSON")?
    };
    ensure!(request["user"] == *plan.id, "{} came with the body of {request}", plan.id);
    if method == "HEAD" || [204, 304].contains(&plan.status) {
        return Ok(Vec::new());
    }
    let mut pieces = match plan.form {
        _ if plan.status != 200 => {
            let message = format!("told to fail {}", plan.id);
            cut(plan, &json!({"error": {"message": message, "type": "told", "code": "told"}}))
        }
        Form::Json => {
            cut(plan, &json!({"user": plan.id, "text": "j".repeat(plan.pieces * plan.size)}))
        }
        Form::Events => events(plan),
        Form::Chat if request["stream"] == true => chunks(plan, &request),
        Form::Chat => {
            let text = "t".repeat(plan.pieces * plan.size);
            let message = json!({"role": "assistant", "content": text});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            cut(plan, &completion(plan, &request, "chat.completion", &choice, true))
        }
    };
    if plan.hangs {
        pieces.truncate(plan.pieces / 2);
    }
    Ok(pieces)
}

/// A whole body in the number of pieces that is wanted.
fn cut(plan: &Plan, body: &Value) -> Vec<Vec<u8>> {
    let body = body.to_string().into_bytes();
    let size = body.len().div_ceil(plan.pieces.max(1));
    body.chunks(size).map(<[u8]>::to_vec).collect()
}

/// Server-sent events of no one's format.
fn events(plan: &Plan) -> Vec<Vec<u8>> {
    let event = |index| {
        let text = "e".repeat(plan.size);
        format!("id: {index}\r\nevent: step\r\ndata: {} {text}\r\n\r\n", plan.id).into_bytes()
    };
    (0..plan.pieces).map(event).collect()
}

/// Chat completion chunks, by <https://platform.openai.com/docs/api-reference/chat-streaming>.
fn chunks(plan: &Plan, request: &Value) -> Vec<Vec<u8>> {
    let event = |choice: Value, last: bool| {
        let chunk = completion(plan, request, "chat.completion.chunk", &choice, last);
        format!("data: {chunk}\n\n").into_bytes()
    };
    let piece = |index| {
        let content = format!("{index}{}", "t".repeat(plan.size));
        event(json!({"index": 0, "delta": {"content": content}, "finish_reason": null}), false)
    };
    let mut pieces: Vec<_> = (0..plan.pieces).map(piece).collect();
    pieces.push(event(json!({"index": 0, "delta": {}, "finish_reason": "stop"}), true));
    pieces.push(b"data: [DONE]\n\n".to_vec());
    pieces
}

fn completion(plan: &Plan, request: &Value, object: &str, choice: &Value, last: bool) -> Value {
    let mut value = json!({
        "id": plan.response_id(),
        "object": object,
        "model": request["model"],
        "choices": [choice],
    });
    if last {
        let (input, output) = plan.tokens();
        value["usage"] = json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
        });
    }
    value
}
