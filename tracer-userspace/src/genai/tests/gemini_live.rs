//! Gemini's Live API over a WebSocket.

use super::{
    openai_sockets::{
        Said::{Client, Server},
        run,
    },
    *,
};

const LIVE: &str =
    "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=k";

fn setup() -> Value {
    json!({"setup": {"model": "models/gemini-live", "generationConfig": {}}})
}

fn says(text: &str) -> Value {
    json!({"serverContent": {"modelTurn": {"parts": [{"text": text}]}}})
}

#[test]
pub(super) fn turns_are_told_one_by_one() {
    let asks = |text: &str| {
        let turn = json!({"role": "user", "parts": [{"text": text}]});
        json!({"clientContent": {"turns": [turn], "turnComplete": true}})
    };
    let over = |input: u64, output: u64| {
        json!({"serverContent": {"turnComplete": true}, "usageMetadata":
            {"promptTokenCount": input, "responseTokenCount": output, "thoughtsTokenCount": 1}})
    };
    let told = run(
        LIVE,
        &[
            Client(setup()),
            Server(json!({"setupComplete": {}})),
            Client(asks("Hi")),
            Server(says("He")),
            Server(says("y")),
            Server(json!({"serverContent": {"generationComplete": true}})),
            Server(over(4, 2)),
            Client(asks("More")),
            Server(says("No")),
            Server(over(9, 1)),
        ],
    );
    let [first, second] = &told[..] else { panic!("{told:#?}") };
    schemas::check_all(first);
    assert_eq!(
        (first.name, first.request.model.as_deref()),
        (OperationName::GenerateContent, Some("gemini-live"))
    );
    assert_eq!((first.response.chunks, first.turn), (2, 0));
    assert_eq!((first.usage.input_tokens, first.usage.output_tokens), (Some(4), Some(3)));
    let content = first.content.as_ref().unwrap();
    assert_eq!(content.output_messages.as_ref().unwrap()[0]["parts"][0]["content"], "Hey");
    assert_eq!(content.input_messages.as_ref().unwrap()[0]["parts"][0]["content"], "Hi");
    assert_eq!((second.turn, second.usage.input_tokens), (1, Some(9)));
    assert_eq!(second.request.model.as_deref(), Some("gemini-live"));
    assert_eq!((first.end.how, second.end.how), (Ended::Complete, Ended::Complete));
}

#[test]
pub(super) fn speech_is_answered_without_asking() {
    let sound = json!({"inlineData": {"mimeType": "audio/pcm", "data": "AAAA"}});
    let told = run(
        LIVE,
        &[
            Client(setup()),
            Client(json!({"realtimeInput": {"audio": {"data": "AAAA"}}})),
            Server(json!({"serverContent": {"modelTurn": {"parts": [sound]}}})),
            Server(json!({"serverContent": {"outputTranscription": {"text": "Hey"}}})),
            Server(json!({"serverContent": {"turnComplete": true}})),
            // Counts that come late are no turn.
            Server(json!({"usageMetadata": {"promptTokenCount": 4}})),
        ],
    );
    let [turn] = &told[..] else { panic!("{told:#?}") };
    assert_eq!((turn.response.chunks, turn.timing.request_end), (2, None));
    let output = turn.content.as_ref().unwrap().output_messages.as_ref().unwrap();
    assert_eq!(output[0]["parts"][0]["content"], "Hey");
}

#[test]
pub(super) fn call_ends_a_turn_and_its_result_asks_again() {
    let call = json!({"id": "c1", "name": "look", "args": {"city": "Köln"}});
    let result = json!({"id": "c1", "name": "look", "response": {"sky": "blue"}});
    let told = run(
        LIVE,
        &[
            Client(json!({"clientContent": {"turns": [], "turnComplete": true}})),
            Server(json!({"toolCall": {"functionCalls": [call]}})),
            Client(json!({"toolResponse": {"functionResponses": [result]}})),
            Server(says("Blue")),
            Server(json!({"serverContent": {"turnComplete": true}})),
        ],
    );
    let [called, answered] = &told[..] else { panic!("{told:#?}") };
    assert_eq!(called.response.tool_calls, ["look"]);
    let input = answered.content.as_ref().unwrap().input_messages.as_ref().unwrap();
    assert_eq!(input[0]["parts"][0]["response"], json!({"sky": "blue"}));
}

#[test]
pub(super) fn vertex_live_is_the_same() {
    let target = "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent";
    let asks = json!({"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "turnComplete": true}});
    let setup = json!({"setup": {"model": "projects/p/locations/l/publishers/google/models/live"}});
    let over = json!({"serverContent": {"turnComplete": true}, "usageMetadata":
        {"promptTokenCount": 3, "candidatesTokenCount": 2}});
    let calls = run(target, &[Client(setup), Client(asks), Server(says("Hey")), Server(over)]);
    assert_eq!((calls.len(), calls[0].request.model.as_deref()), (1, Some("live")));
    assert_eq!((calls[0].usage.input_tokens, calls[0].usage.output_tokens), (Some(3), Some(2)));
}
