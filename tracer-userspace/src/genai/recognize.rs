//! Which exchanges may be LLM calls, by their request's head alone.
//! Takes a [`RequestHead`]; gives the formats to read it as, or nothing.
//! What is not certain from the head, the bodies must confirm; a model's name decides nothing.

use std::borrow::Cow;

use ::http::{Method, header};

use super::{
    formats::Format,
    named::Named,
    protobuf::Schema,
    providers::{PROVIDERS, Provider, ROUTES, Route, SHAPES, SOCKETS},
    socket::Dialect,
};
use crate::http::RequestHead;

/// What a request's head says.
#[derive(Debug)]
pub(super) struct Recognized {
    /// Formats that the bodies may be in, the likeliest first.
    pub formats: Vec<&'static Format>,
    pub certainty: Certainty,
    pub target: Target,
    /// Of gRPC: what its messages are.
    pub messages: Option<&'static Schema>,
}

/// What the target says of the call.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// Of a known host.
    pub provider: Option<Cow<'static, str>>,
    pub model: Option<String>,
    /// Of the agent or the data source, where the path names it.
    pub id: Option<String>,
    /// A stream is asked for.
    pub streams: bool,
    /// The event of a stored stream behind which it is to go on.
    pub stream_cursor: Option<String>,
}

/// What the bodies must still show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// A known path of a known host.
    Sure,
    /// A known path of an unknown host: request or answer must have the format's shape.
    Path,
    /// A path that serves other things too: both must have it, unless the call failed.
    Shared,
    /// A path that is only known of a provider's host, and this is another: both must have it, unless
    /// the call failed and named a model.
    Borrowed,
    /// Neither: request and answer must both have it.
    Shape,
}

/// The authority that the client asked for: of an absolute target, else `Host` (RFC 9112 §3.2.2).
pub(super) fn authority(head: &RequestHead) -> Option<&str> {
    absolute(&head.target).map(|(authority, _)| authority).or_else(|| {
        head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::trim)
    })
}

/// The path without the query.
pub(super) fn path(head: &RequestHead) -> &str {
    let path = absolute(&head.target).map_or(head.target.as_str(), |(_, path)| path);
    path.split(['?', '#']).next().unwrap_or_default()
}

/// The value of a member of the query, if it is there and not empty.
fn query(head: &RequestHead, name: &str) -> Option<String> {
    let (_, query) = head.target.split_once('?')?;
    let members = query.split('#').next()?.split('&').filter_map(|member| member.split_once('='));
    let value = members.into_iter().find(|(key, _)| *key == name)?.1;
    Some(percent_decoded(value)).filter(|value| !value.is_empty())
}

/// Authority and the rest of a target in absolute form.
fn absolute(target: &str) -> Option<(&str, &str)> {
    let rest = target
        .split_once("://")
        .filter(|(scheme, _)| {
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        })?
        .1;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // User information is no part of the address (RFC 9110 §4.2.4).
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some((authority, path))
}

/// Host name without port and the root's dot, in lower case.
fn host(authority: &str) -> String {
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The provider that `head` is for, and the route if it is one of the provider's own. A host may
/// be in several rows: those whose own routes do not match it leave it to the last.
fn provider(head: &RequestHead) -> Option<(&'static Provider, Option<&'static Route>)> {
    let host = host(authority(head)?);
    let mut rows = PROVIDERS.iter().filter(|row| row.hosts.iter().any(|name| is_host(name, &host)));
    let own = |row: &'static Provider| Some((row, Some(route(row.routes, head)?)));
    rows.clone().find_map(own).or_else(|| rows.next_back().map(|row| (row, None)))
}

fn route(routes: &'static [Route], head: &RequestHead) -> Option<&'static Route> {
    let path = path(head);
    routes.iter().find(|route| route.method == head.method && matches(route.path, path))
}

/// Whether `host` is one of those that a table row's `name` stands for.
fn is_host(name: &str, host: &str) -> bool {
    if name.starts_with('.') {
        return host.ends_with(name);
    }
    match name.split_once('*') {
        Some((head, tail)) => host
            .strip_prefix(head)
            .and_then(|rest| rest.strip_suffix(tail))
            .is_some_and(|region| !region.is_empty() && !region.contains('.')),
        None => host == name,
    }
}

/// `named` goes before what is known of hosts and paths.
pub(super) fn recognize(head: &RequestHead, named: &[Named]) -> Option<Recognized> {
    let asked_for = host(authority(head).unwrap_or_default());
    let Some(entry) = named.iter().find(|entry| entry.is_for(&asked_for, path(head))) else {
        return known(head);
    };
    let mut found = match entry.format {
        Some(_) if head.method != Method::POST => return None,
        Some(format) => Recognized {
            formats: vec![format.format()],
            certainty: Certainty::Path,
            target: Target::default(),
            messages: None,
        },
        None => known(head)?,
    };
    if let Some(provider) = &entry.provider {
        found.target.provider = Some(provider.clone().into());
    }
    Some(found)
}

fn known(head: &RequestHead) -> Option<Recognized> {
    let (provider, own) = provider(head).unzip();
    let own = own.flatten();
    if let Some(route) = own.or_else(|| route(ROUTES, head)) {
        // Rows of one path are servers that use it for different formats.
        let table = provider.filter(|_| own.is_some()).map_or(ROUTES, |row| row.routes);
        let rows = table.iter().filter(|row| row.path == route.path && row.method == route.method);
        let mut formats: Vec<_> = rows.map(|row| row.format).collect();
        if provider.is_none() && route.shared {
            // At an unknown host such a path is a word like any other.
            extend(&mut formats, borrowed(head).map(|route| route.format));
            extend(&mut formats, shapes(head));
        }
        return Some(Recognized {
            formats,
            certainty: match provider {
                _ if route.shared => Certainty::Shared,
                Some(_) => Certainty::Sure,
                None => Certainty::Path,
            },
            target: target(route, provider, head),
            messages: route.messages,
        });
    }
    // A known host's other paths are known not to be of these formats.
    if provider.is_some() {
        return None;
    }
    if let Some(route) = borrowed(head).next() {
        // A gateway, or the provider's software at a host of one's own.
        let mut formats = Vec::new();
        extend(&mut formats, borrowed(head).map(|route| route.format));
        extend(&mut formats, shapes(head));
        return Some(Recognized {
            formats,
            certainty: Certainty::Borrowed,
            target: target(route, None, head),
            messages: None,
        });
    }
    let formats: Vec<_> = shapes(head).collect();
    (!formats.is_empty()).then_some(Recognized {
        formats,
        certainty: Certainty::Shape,
        target: Target::default(),
        messages: None,
    })
}

/// Routes of the providers' own that `head` would belong to at their hosts. What asks by its path
/// alone has no body that could show it to be theirs.
fn borrowed(head: &RequestHead) -> impl Iterator<Item = &'static Route> {
    let path = path(head);
    let asks = head.method == Method::POST;
    let routes = PROVIDERS.iter().flat_map(|row| row.routes).filter(move |_| asks);
    routes.filter(move |route| route.method == Method::POST && matches(route.path, path))
}

/// Formats that the body may be in whatever the path.
fn shapes(head: &RequestHead) -> impl Iterator<Item = &'static Format> {
    let possible = head.method == Method::POST && is_json(head);
    let anthropic = head.headers.contains_key("anthropic-version");
    let formats = SHAPES.iter().copied();
    formats.filter(move |format| possible && (!anthropic || format.flavour == "anthropic"))
}

/// Adds the formats that are not there yet.
fn extend(formats: &mut Vec<&'static Format>, more: impl Iterator<Item = &'static Format>) {
    for format in more {
        if !formats.iter().any(|known| std::ptr::eq(*known, format)) {
            formats.push(format);
        }
    }
}

/// Outside of path and body: by the query, or DashScope's header.
fn asks_for_stream(head: &RequestHead) -> bool {
    let header = head.headers.get("x-dashscope-sse");
    query(head, "stream").as_deref() == Some("true")
        || header.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"enable"))
}

fn target(route: &Route, provider: Option<&Provider>, head: &RequestHead) -> Target {
    Target {
        provider: provider.map(|row| row.name.into()),
        model: part(route, route.model_after, path(head)),
        id: part(route, route.id_after, path(head)),
        streams: route.streams || asks_for_stream(head),
        stream_cursor: query(head, "starting_after"),
    }
}

/// Whether a WebSocket is asked for over which answers can be asked for, and how those are told.
pub(super) fn socket(head: &RequestHead) -> Option<(&'static Dialect, Target)> {
    let upgrade = head.headers.get(header::UPGRADE)?;
    if !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return None;
    }
    let path = path(head);
    let (_, dialect) = SOCKETS.iter().find(|(pattern, _)| matches(pattern, path))?;
    let target = Target {
        provider: provider(head).map(|(row, _)| row.name.into()),
        // The second is Azure's way.
        model: query(head, "model").or_else(|| query(head, "deployment")),
        id: None,
        streams: true,
        stream_cursor: None,
    };
    Some((dialect, target))
}

/// A path or a host that is known to be an LLM's.
pub(super) fn is_known(head: &RequestHead) -> bool {
    let uncertain = [Certainty::Shape, Certainty::Borrowed];
    let found = known(head).map(|found| !uncertain.contains(&found.certainty));
    found.unwrap_or_else(|| provider(head).is_some())
}

pub(super) fn is_json(head: &RequestHead) -> bool {
    head.headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| {
            let kind = kind.trim().to_ascii_lowercase();
            kind == "application/json" || kind.ends_with("+json")
        })
}

/// Whether the last segments of `path` are those of `pattern`.
fn matches(pattern: &str, path: &str) -> bool {
    let mut path = path.trim_end_matches('/').rsplit('/');
    pattern.trim_start_matches('/').rsplit('/').all(|wanted| {
        path.next().is_some_and(|segment| match wanted.strip_prefix('*') {
            Some(rest) => segment.len() > rest.len() && segment.ends_with(rest),
            None => segment == wanted,
        })
    })
}

/// The pattern by which a request of this provider was recognized, if it was by its path.
#[cfg(test)]
pub(super) fn route_of(provider: &str, method: &str, path: &str) -> Option<&'static str> {
    let own = PROVIDERS.iter().filter(|row| row.name == provider).flat_map(|row| row.routes);
    let others = PROVIDERS.iter().flat_map(|row| row.routes);
    let mut routes = own.chain(ROUTES).chain(others);
    let route = routes.find(|route| route.method == method && matches(route.path, path));
    let socket = || SOCKETS.iter().find(|(pattern, _)| method == "GET" && matches(pattern, path));
    route.map(|route| route.path).or_else(|| Some(socket()?.0))
}

/// What stands in `path` for the pattern's `*`s behind its segment `after`.
fn part(route: &Route, after: Option<&str>, path: &str) -> Option<String> {
    let after = after?;
    let pattern: Vec<_> = route.path.split('/').skip(1).collect();
    let segments: Vec<_> = path.trim_end_matches('/').rsplit('/').take(pattern.len()).collect();
    let pairs = pattern.iter().zip(segments.iter().rev());
    let behind = pairs.skip_while(|(wanted, _)| **wanted != after).skip(1);
    let names = behind.map_while(|(wanted, segment)| {
        let rest = wanted.strip_prefix('*')?;
        Some(percent_decoded(segment.strip_suffix(rest).unwrap_or(segment)))
    });
    let name = names.collect::<Vec<_>>().join("/");
    (!name.is_empty()).then_some(name)
}

/// RFC 3986 §2.1; a `%` without its two digits stays.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after
            .first_chunk::<2>()
            .filter(|_| first == b'%')
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(digits.unwrap_or(first));
        rest = if digits.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use ::http::{HeaderMap, HeaderValue, Version};

    use super::*;

    fn head(method: Method, target: &str, host: &'static str) -> RequestHead {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        RequestHead { method, target: target.to_owned(), version: Version::HTTP_11, headers }
    }

    fn check(target: &str, host: &'static str) -> Option<(&'static str, Certainty)> {
        known(&head(Method::POST, target, host)).map(|found| {
            let provider = PROVIDERS
                .iter()
                .map(|row| row.name)
                .find(|name| found.target.provider.as_deref() == Some(*name));
            (provider.unwrap_or(found.formats[0].flavour), found.certainty)
        })
    }

    #[test]
    fn known_hosts_are_named() {
        let sure = |name| Some((name, Certainty::Sure));
        assert_eq!(check("/v1/chat/completions", "api.openai.com"), sure("openai"));
        assert_eq!(check("/v1/chat/completions", "API.OpenAI.com.:443"), sure("openai"));
        assert_eq!(check("/v1/messages?beta=true", "api.anthropic.com"), sure("anthropic"));
        assert_eq!(check("/openai/v1/chat/completions", "api.groq.com"), sure("groq"));
        assert_eq!(check("/v1/chat", "api.writer.com"), sure("writer"));
        let converse = "/model/m/converse";
        let bedrock = "bedrock-runtime.us-east-1.amazonaws.com";
        assert_eq!(check(converse, bedrock), sure("aws.bedrock"));
        let elsewhere = "bedrock-runtime.a.b.amazonaws.com";
        assert_eq!(check(converse, elsewhere), Some(("aws.bedrock", Certainty::Path)));
        let proxied = "http://user@api.mistral.ai:80/v1/chat/completions?x=/v1/messages";
        assert_eq!(check(proxied, "proxy.local"), sure("mistral_ai"));
    }

    #[test]
    fn host_of_two_providers_is_told_by_its_path() {
        let sure = |name| Some((name, Certainty::Sure));
        let host = "res.services.ai.azure.com";
        let inference = sure("azure.ai.inference");
        assert_eq!(check("/models/chat/completions?api-version=1", host), inference);
        assert_eq!(check("/anthropic/v1/messages", host), inference);
        let openai = sure("azure.ai.openai");
        assert_eq!(check("/openai/v1/chat/completions", host), openai);
        assert_eq!(check("/openai/deployments/d/chat/completions", host), openai);
    }

    #[test]
    fn unknown_hosts_keep_the_flavour() {
        let by_path = |name| Some((name, Certainty::Path));
        assert_eq!(check("/gateway/chat/completions", "127.0.0.1:8080"), by_path("openai"));
        assert_eq!(check("/a/b/v1/messages/", "[::1]:8080"), by_path("anthropic"));
        assert_eq!(check("/v1/chat/completions", "notapi.openai.com.evil.net"), by_path("openai"));
        assert_eq!(check("/llm", "gateway"), Some(("openai", Certainty::Shape)));
    }

    #[test]
    fn other_requests_are_left() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(known(&head(method, "/v1/chat/completions", "api.openai.com")).is_none());
        }
        for target in ["/v1/models", "/", "/v1/messages/batches", "/v1/messages/m/batches"] {
            assert_eq!(check(target, "api.anthropic.com"), None, "{target}");
        }
        let mut form = head(Method::POST, "/login", "example.org");
        form.headers.remove(header::CONTENT_TYPE);
        assert!(known(&form).is_none());
    }

    #[test]
    fn path_names_the_deployment() {
        let target = "/openai/deployments/my%20gpt/chat/completions?api-version=1";
        let found = known(&head(Method::POST, target, "x.openai.azure.com")).unwrap();
        assert_eq!(found.target.model.as_deref(), Some("my gpt"));
        assert_eq!(found.target.provider.as_deref(), Some("azure.ai.openai"));
        assert_eq!(percent_decoded("a%3Ab%2g%"), "a:b%2g%");
    }
}
