//! `docs/providers.md`, made of what the tests below read: it can say nothing that no test proves.
//! Takes the tests; runs each and looks at the operations that come of it; gives the page.
//! A route of the tables that none of them takes fails, and so does a page that says other than they do.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::*;
use crate::genai::{
    HttpFacts,
    mcp::tests as mcp,
    operation::Agent,
    providers::{PROVIDERS, ROUTES, SOCKETS},
    recognize,
};

thread_local! {
    /// Operations of the test that runs in this thread, while someone looks.
    static SEEN: RefCell<Option<Vec<Operation>>> = const { RefCell::new(None) };
}

/// A test got this operation.
pub(in crate::genai) fn seen(operation: &Operation) {
    SEEN.with_borrow_mut(|seen| {
        if let Some(seen) = seen {
            seen.push(operation.clone());
        }
    });
}

/// A test by its name, and what it gets.
struct Proof {
    name: &'static str,
    test: fn(),
}

macro_rules! proofs {
    ($($module:ident: { $($test:ident,)* })*) => {
        &[$($(Proof {
            name: concat!(stringify!($module), "::", stringify!($test)),
            test: $module::$test,
        },)*)*]
    };
}

const PROOFS: &[Proof] = proofs! {
    anthropic: {
        whole_message_is_read,
        stream_takes_the_last_usage,
        cut_stream_ends_in_error,
        errors_are_named,
        system_is_apart_from_messages,
        old_completion_is_read,
    }
    bedrock: {
        converse_is_read,
        converse_stream_is_folded,
        exception_inside_a_stream_is_told,
        damaged_stream_keeps_what_was_whole,
        vendors_bodies_are_told_apart,
        chunks_are_unwrapped,
        failed_invocation_tells_the_status,
    }
    bedrock_others: {
        flow_is_a_workflow,
        agent_of_the_request_names_its_model,
        guardrail_alone_is_a_moderation,
        bedrock_rankings_are_read,
        call_that_is_answered_later_has_an_id,
        answer_tells_what_titan_was_asked_for,
        router_tells_the_model_that_answered,
        deepseek_on_bedrock_is_read,
        aws_regions_and_partitions_are_known,
    }
    cohere: {
        whole_chat_is_read,
        events_are_folded_together,
        lines_of_the_first_version_are_folded,
        generations_have_a_reason_each,
        embeddings_are_recognized,
    }
    counting: {
        anthropic_counts_are_read,
        openai_counts_are_read,
        google_counts_are_read,
        bedrock_counts_are_read,
        failed_count_is_told,
        compaction_has_usage,
        stored_completion_is_told_again_without_usage,
    }
    dashscope: {
        dashscope_answer_is_read,
        dashscope_streams_repeat_the_text_or_not_as_asked,
        dashscope_errors_are_told,
        dashscope_application_is_an_agent,
        dashscope_embeddings_and_rankings_are_read,
    }
    errors: {
        bodies_of_failed_responses,
        header_names_the_error,
        limits_are_told_with_the_error,
        errors_of_success,
        filtered_answers_are_no_errors,
    }
    gemini: {
        whole_answer_is_read,
        both_kinds_of_stream_are_folded,
        blocked_prompt_is_an_error,
        error_status_names_the_kind,
        embeddings_are_recognized,
        long_text_is_marked_as_cut,
    }
    gemini_live: {
        turns_are_told_one_by_one,
        speech_is_answered_without_asking,
        call_ends_a_turn_and_its_result_asks_again,
        vertex_live_is_the_same,
    }
    google_others: {
        code_assistants_envelope_is_opened,
        tuned_models_are_named_by_their_path,
        palm_is_read,
    }
    grpc: {
        vertex_call_is_read,
        vertex_stream_is_read,
        functions_are_called_over_grpc,
        status_of_a_failed_call_is_told,
        xai_stream_is_read,
        bytes_that_are_no_message_are_told,
    }
    grpc_others: {
        gemini_api_is_read_over_grpc,
        embeddings_and_predictions_are_read_over_grpc,
        tokens_are_counted_over_grpc,
        xai_answer_is_read,
        xai_texts_vectors_and_images_are_read,
    }
    hosts: {
        hosts_of_openai_chats_are_known,
        streams_and_failures_of_openai_chats_are_read_at_every_host,
        hosts_of_anthropic_messages_are_known,
        hosts_of_openai_responses_are_known,
    }
    ollama: {
        lines_are_folded_together,
        whole_answer_is_no_stream,
        cut_lines_end_in_error,
        embeddings_are_recognized,
    }
    openai_agents: {
        assistant_is_an_agent_that_is_made,
        run_is_told_of_its_agent,
        polled_run_tells_usage_and_failure,
        what_is_about_threads_is_no_run,
        streamed_run_is_folded,
        run_may_fail_while_it_streams,
    }
    openai_chat: {
        whole_completion_is_read,
        stream_is_folded_together,
        first_chunk_has_its_own_time,
        stream_without_usage_has_none,
        cut_stream_ends_in_error,
        streamed_tool_calls_are_joined,
        error_bodies_name_the_kind,
        html_error_page_is_no_answer,
        error_inside_a_stream_is_told,
        other_providers_quirks_are_read,
        thoughts_in_a_list_are_pieces,
        mislabelled_stream_is_still_one,
        azure_model_comes_from_the_path,
        role_is_no_content,
        chunk_times_fall_in_the_prescribed_buckets,
    }
    openai_dialects: {
        reasoning_is_read_under_every_name,
        spoken_answer_is_its_transcript,
        content_may_be_a_list,
        counts_are_read_under_every_name,
        usage_in_odd_places_is_read,
        errors_are_read_wherever_they_stand,
        failed_choice_is_told,
        requests_are_read_under_every_name,
        first_paths_of_the_api_name_the_model,
    }
    openai_media: {
        images_are_generated,
        image_forms_are_read,
        images_are_streamed,
        speech_becomes_text,
        text_becomes_speech,
        moderations_are_told,
        deployments_of_each_kind_are_known,
    }
    openai_others: {
        whole_response_is_read,
        streamed_response_is_folded,
        cut_response_ends_in_error,
        failed_response_tells_its_error,
        fetched_response_has_no_usage,
        stored_stream_goes_on_where_it_is_wanted,
        background_response_is_told_as_far_as_it_is,
        text_completions_are_read,
        embeddings_are_read_past_their_vectors,
    }
    openai_sockets: {
        each_realtime_answer_is_an_operation,
        answers_at_the_same_time_are_told_apart,
        error_ends_what_it_is_of,
        answer_cut_short_is_told,
        gap_costs_one_message,
        too_many_answers_are_told_as_far_as_they_came,
        responses_come_one_after_the_other,
        sockets_of_others_are_left,
        socket_in_a_stream_of_http2_is_read,
    }
    routes: {
        azure_deployments_are_read,
        azure_inference_embeddings_are_read,
        runs_are_changed_and_cancelled,
        other_openai_paths_are_read,
        vertex_models_of_others_are_read,
        google_embeddings_are_read,
        huggingface_pipelines_are_read,
        mistral_agents_are_read,
        dashscope_other_services_are_read,
        small_services_other_paths_are_read,
        containers_are_read_from_inside,
        knowledge_is_streamed,
    }
    servers: {
        tgi_answer_is_read,
        tgi_list_of_answers_is_read,
        tgi_stream_is_read,
        tgi_error_in_a_stream_is_told,
        sglang_repeats_its_text,
        sglang_batch_is_summed,
        llama_cpp_completion_is_read,
        llama_cpp_stream_ends_with_its_counts,
        bare_lists_are_embeddings,
        words_as_paths_are_not_enough,
        failed_call_of_a_shared_path_is_told,
    }
    servers_others: {
        vllm_scores_and_labels_are_read,
        words_that_anyone_may_use_are_left,
        rankings_of_every_form_are_read,
        embeddings_of_every_form_are_read,
        classifications_of_every_form_are_read,
        llama_cpp_is_known_at_openais_path_too,
        ocr_is_read_page_by_page,
        mistral_transcripts_are_read,
        providers_software_elsewhere_is_read,
        cohere_sums_up_and_streams_without_types,
    }
    vendors: {
        aleph_alpha_is_read,
        aleph_alpha_stream_is_read,
        replicate_prediction_is_made_and_fetched,
        replicate_failure_is_told,
        replicate_output_streams_as_plain_text,
        rerank_is_read,
        cloudflare_envelope_is_read,
        cloudflare_runs_models_that_speak_openais_format,
        cloudflare_stream_and_errors_are_read,
        vertex_predictions_are_read,
        vertex_serves_other_publishers,
        mistral_conversation_is_read,
        mistral_agent_streams,
        gemini_interaction_is_read,
        gemini_interaction_streams,
        sagemaker_containers_are_read,
        sagemaker_stream_is_cut_anywhere,
        bedrock_agent_is_read,
        knowledge_bases_are_read,
        aws_names_its_errors_in_a_header,
        reasoning_beside_the_completion_is_output,
        databricks_path_names_the_model,
    }
    watsonx: {
        whole_generation_is_read,
        events_are_folded_together,
        versions_and_deployments_are_read_alike,
        watsonx_chat_is_read,
        watsonx_embeddings_and_rankings_are_counted,
        watsonx_errors_are_told,
    }
    mcp: {
        session_begins_with_initialize,
        tool_is_called_and_answered,
        answer_comes_as_an_event,
        failures_are_told,
        batch_is_told_call_by_call,
        server_asks_on_its_stream_and_client_answers_by_post,
        older_transport_answers_on_the_stream,
        notification_of_the_client_is_told,
        prompts_and_resources_have_their_names,
        other_traffic_is_left,
    }
};

/// Provider, operation and path.
type Key = (String, &'static str, String);

/// What is read of one operation, by the page's columns.
type Facts = BTreeSet<(Column, &'static str)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Streamed,
    Request,
    Answer,
    Tokens,
    Error,
}

const COLUMNS: [Column; 5] =
    [Column::Streamed, Column::Request, Column::Answer, Column::Tokens, Column::Error];

impl Proof {
    fn operations(&self) -> Vec<Operation> {
        SEEN.set(Some(Vec::new()));
        (self.test)();
        SEEN.take().unwrap_or_default()
    }
}

fn facts(operation: &Operation) -> Facts {
    let Operation { request, response, usage, .. } = operation;
    let output = operation.content.as_ref().and_then(|content| content.output_messages.as_ref());
    let modalities = [usage.input, usage.output, usage.cache_read];
    let has = |of: fn(&Modalities) -> Option<u64>| modalities.iter().any(|it| of(it).is_some());
    let all = [
        (Column::Streamed, "yes", operation.timing.first_chunk.is_some()),
        (Column::Request, "model", request.model.is_some()),
        (Column::Request, "limit", request.max_tokens.is_some()),
        (Column::Request, "temperature", request.temperature.is_some()),
        (Column::Request, "tools", request.tools.is_some()),
        (Column::Request, "agent", request.agent != Agent::default()),
        (Column::Request, "dimensions", request.embedding_dimensions.is_some()),
        (Column::Request, "data source", request.data_source_id.is_some()),
        (Column::Answer, "id", response.id.is_some() || response.run_id.is_some()),
        (Column::Answer, "model", response.model.is_some()),
        (Column::Answer, "finish reasons", !response.finish_reasons.is_empty()),
        (Column::Answer, "tool calls", !response.tool_calls.is_empty()),
        (Column::Answer, "conversation", response.conversation_id.is_some()),
        (Column::Answer, "content", output.is_some()),
        (Column::Tokens, "input", usage.input_tokens.is_some()),
        (Column::Tokens, "output", usage.output_tokens.is_some()),
        (Column::Tokens, "cache read", usage.cache_read_input_tokens.is_some()),
        (Column::Tokens, "cache write", usage.cache_write_input_tokens.is_some()),
        (Column::Tokens, "reasoning", usage.reasoning_output_tokens.is_some()),
        (Column::Tokens, "text", has(|it| it.text)),
        (Column::Tokens, "audio", has(|it| it.audio)),
        (Column::Tokens, "image", has(|it| it.image)),
        (Column::Tokens, "video", has(|it| it.video)),
        (Column::Error, "yes", operation.error.is_some()),
    ];
    all.into_iter().filter(|(.., told)| *told).map(|(column, name, _)| (column, name)).collect()
}

/// Of each row what each test showed.
fn rows() -> BTreeMap<Key, BTreeMap<&'static str, Facts>> {
    let mut rows: BTreeMap<Key, BTreeMap<_, Facts>> = BTreeMap::new();
    for proof in PROOFS {
        for operation in proof.operations() {
            let HttpFacts { method, path, .. } = &operation.http;
            let (provider, name, path) = match &operation.mcp {
                Some(call) => {
                    let side = if operation.role == Role::Client { "client" } else { "server" };
                    (MCP.to_owned(), side, format!("`{}`", call.method))
                }
                None => {
                    let route = recognize::route_of(&operation.provider, method, path);
                    let path =
                        route.map_or("any other".to_owned(), |it| format!("`{method} {it}`"));
                    (operation.provider.clone(), operation.name.as_str(), path)
                }
            };
            let row = rows.entry((provider, name, path)).or_default();
            row.entry(proof.name).or_default().extend(facts(&operation));
        }
    }
    rows
}

const MCP: &str = "mcp";

/// As few tests as show all that any of them shows, those that show most first.
fn enough(tests: &BTreeMap<&'static str, Facts>) -> Vec<&'static str> {
    let mut missing: Facts = tests.values().flatten().copied().collect();
    let mut chosen = Vec::new();
    while chosen.is_empty() || !missing.is_empty() {
        let shows = |test: &&str| tests[*test].intersection(&missing).count();
        let Some(best) = tests.keys().copied().rev().max_by_key(shows) else { break };
        missing.retain(|fact| !tests[best].contains(fact));
        chosen.push(best);
    }
    chosen
}

fn cell(facts: &Facts, column: Column) -> String {
    let told = facts.iter().filter(|(of, _)| *of == column).map(|(_, name)| *name);
    told.collect::<Vec<_>>().join(", ")
}

const HEAD: &str = "# Providers

What is read of whom, and the test that proves it. This page is made from what the tests in
`tracer-userspace/src/genai` read, by `LLMTAP_WRITE_DOCS=1 cargo test -p tracer-userspace --lib page`: a
row says nothing that its tests did not show, and a route without a test fails.

A path is matched from its end, so a prefix of a gateway changes nothing; `*` is any part of it. At other hosts
than a provider's own the paths hold too, if the bodies have the format's shape; then the operation is told
under the format's first speaker, or the name that the configuration gives. `any other` is a path that is in no
table, where the bodies alone show what they are. `tools` are the number offered, `limit` is the most tokens
asked for; `content` is kept only on request.
";

fn page(rows: &BTreeMap<Key, BTreeMap<&'static str, Facts>>) -> String {
    let mut page = HEAD.to_owned();
    let names: BTreeSet<_> = rows.keys().map(|(provider, ..)| provider.as_str()).collect();
    for name in names.into_iter().filter(|name| *name != MCP) {
        page += &format!("\n## {name}\n\n");
        let hosts: Vec<_> = PROVIDERS
            .iter()
            .filter(|row| row.name == name)
            .flat_map(|row| row.hosts)
            .map(|host| format!("`{host}`"))
            .collect();
        page += &match hosts.is_empty() {
            true => "No host of its own.\n".to_owned(),
            false => format!("Hosts: {}.\n", hosts.join(", ")),
        };
        page += "\n| operation | path | streamed | request | answer | tokens | errors | proof |\n\
                 |---|---|---|---|---|---|---|---|\n";
        for ((_, operation, path), tests) in rows.iter().filter(|((of, ..), _)| of == name) {
            let all: Facts = tests.values().flatten().copied().collect();
            let cells = COLUMNS.map(|column| cell(&all, column)).join(" | ");
            page += &format!("| {operation} | {path} | {cells} | {} |\n", proofs(tests));
        }
    }
    page += "\n## Model Context Protocol\n\nOver streamable HTTP and the older transport, on any path.\n\n\
             | side | method | proof |\n|---|---|---|\n";
    for ((_, side, method), tests) in rows.iter().filter(|((of, ..), _)| of == MCP) {
        page += &format!("| {side} | {method} | {} |\n", proofs(tests));
    }
    page
}

fn proofs(tests: &BTreeMap<&'static str, Facts>) -> String {
    let names: Vec<_> = enough(tests).iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[test]
fn page_of_providers_is_what_the_tests_read() {
    let rows = rows();
    let proven = |method: &Method, path: &str| {
        let path = format!("`{method} {path}`");
        rows.keys().any(|(.., of)| *of == path)
    };
    let routes = PROVIDERS.iter().flat_map(|row| row.routes).chain(ROUTES);
    let unproven: Vec<_> = routes
        .map(|route| (&route.method, route.path))
        .chain(SOCKETS.iter().map(|(path, _)| (&Method::GET, *path)))
        .filter(|(method, path)| !proven(method, path))
        .collect();
    assert!(unproven.is_empty(), "routes that no test takes: {unproven:#?}");
    let unheard: Vec<_> = PROVIDERS
        .iter()
        .map(|row| row.name)
        .filter(|name| !rows.keys().any(|(provider, ..)| provider == name))
        .collect();
    assert!(unheard.is_empty(), "providers that no test calls: {unheard:?}");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/providers.md");
    let made = page(&rows);
    if std::env::var_os("LLMTAP_WRITE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(written == made, "docs/providers.md is out of date: it says how to write it anew");
}
