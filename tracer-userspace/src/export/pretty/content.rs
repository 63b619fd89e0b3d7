//! Message content as a few words a message.
//! Takes captured [`Content`]; gives role and text of the messages that this call added: the last
//! of the input, and the output.

use serde_json::Value;

use crate::genai::Content;

/// Lines that one message may take.
pub(super) const LINES: usize = 4;

/// Messages shown of an output with many choices.
const CHOICES: usize = 4;

pub(super) fn messages(content: &Content) -> Vec<(String, String)> {
    let list = |value: &Option<Value>| match value {
        Some(Value::Array(list)) => list.clone(),
        _ => Vec::new(),
    };
    let input = list(&content.input_messages).into_iter().next_back();
    let output = list(&content.output_messages).into_iter().take(CHOICES);
    input.into_iter().chain(output).filter_map(|message| message_words(&message)).collect()
}

fn message_words(message: &Value) -> Option<(String, String)> {
    let role = message.get("role")?.as_str()?.to_owned();
    let parts = message.get("parts")?.as_array()?;
    let words: Vec<String> = parts.iter().map(part_words).collect();
    Some((role, words.join("\n")))
}

/// Texts as they are; of other parts what they are.
fn part_words(part: &Value) -> String {
    let field = |name: &str| part.get(name).and_then(Value::as_str).unwrap_or_default();
    match field("type") {
        "text" => field("content").to_owned(),
        "reasoning" => format!("(thinks) {}", field("content")),
        "tool_call" => {
            let arguments = part.get("arguments").map(Value::to_string).unwrap_or_default();
            format!("{}({arguments})", field("name"))
        }
        "tool_call_response" => match part.get("response") {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        },
        other => format!("[{other} {}]", field("modality")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn last_input_and_output_are_shown() {
        let content = Content {
            input_messages: Some(json!([
                {"role": "user", "parts": [{"type": "text", "content": "old"}]},
                {"role": "user", "parts": [
                    {"type": "text", "content": "hi"},
                    {"type": "blob", "modality": "image", "content": "AAAA"}]},
            ])),
            output_messages: Some(json!([
                {"role": "assistant", "finish_reason": "tool_call", "parts": [
                    {"type": "reasoning", "content": "hm"},
                    {"type": "tool_call", "name": "search", "arguments": {"q": "x"}}]},
            ])),
            ..Content::default()
        };
        let expected =
            [("user", "hi\n[blob image]"), ("assistant", "(thinks) hm\nsearch({\"q\":\"x\"})")];
        let expected = expected.map(|(role, words)| (role.to_owned(), words.to_owned()));
        assert_eq!(messages(&content), expected);
    }

    #[test]
    fn other_shapes_are_passed_over() {
        for value in [json!(null), json!("x"), json!([1, {"role": 1}, {"role": "user"}])] {
            let content = Content { input_messages: Some(value), ..Content::default() };
            assert!(messages(&content).is_empty());
        }
    }
}
