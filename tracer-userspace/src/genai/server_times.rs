//! Times that servers tell in response headers.
//! Takes headers; gives [`ServerTimes`]. What bodies tell, the formats read.
//! A value in a unit that is not known is left out: no header says its own.

use std::time::Duration;

use ::http::HeaderMap;

use super::operation::ServerTimes;

/// A longer time is none (a year).
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

type Field = fn(&mut ServerTimes) -> &mut Option<Duration>;

/// In milliseconds. Of several for one time the first that is there counts.
const MILLISECONDS: [(&str, Field); 10] = [
    // OpenAI, Azure, and servers that do as they do.
    ("openai-processing-ms", |times| &mut times.total),
    // xAI.
    ("x-metrics-e2e-ms", |times| &mut times.total),
    ("x-metrics-ttft-ms", |times| &mut times.first_token),
    ("x-amzn-bedrock-invocation-latency", |times| &mut times.total),
    ("x-litellm-response-duration-ms", |times| &mut times.total),
    // Text Generation Inference, Text Embeddings Inference and what is made of them.
    ("x-total-time", |times| &mut times.total),
    ("x-queue-time", |times| &mut times.queue),
    ("x-inference-time", |times| &mut times.inference),
    // Before them, whole milliseconds; a fraction is Hugging Face's hosted API, in seconds.
    ("x-compute-time", |times| &mut times.total),
    // Envoy, in front of Anthropic, Cohere, Mistral and others: upstream of it.
    ("x-envoy-upstream-service-time", |times| &mut times.total),
];

pub(super) fn of(headers: &HeaderMap) -> ServerTimes {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let mut times = ServerTimes::default();
    for (name, field) in MILLISECONDS {
        let told = text(name).filter(|value| name != "x-compute-time" || !value.contains('.'));
        let place = field(&mut times);
        *place = place.or_else(|| milliseconds(told?.parse().ok()?));
    }
    times.total = times.total.or_else(|| text("server-timing").and_then(google));
    times
}

/// `gfet4t7; dur=11009` (Server Timing, W3C): the time that Google's front end waited.
fn google(value: &str) -> Option<Duration> {
    let mut metrics = value.split(',').map(|metric| metric.split(';').map(str::trim));
    let mut metric = metrics.find_map(|mut metric| {
        metric.next().filter(|name| name.starts_with("gfe"))?;
        Some(metric)
    })?;
    milliseconds(metric.find_map(|member| member.strip_prefix("dur="))?.parse().ok()?)
}

pub(super) fn milliseconds(number: f64) -> Option<Duration> {
    seconds(number / 1e3)
}

pub(super) fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok().filter(|time| *time <= LONGEST)
}

pub(super) fn nanoseconds(number: u64) -> Option<Duration> {
    Some(Duration::from_nanos(number)).filter(|time| *time <= LONGEST)
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn check(headers: &[(&'static str, &'static str)], expected: ServerTimes) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (::http::HeaderName::from_static(name), HeaderValue::from_static(value))
            })
            .collect();
        assert_eq!(of(&headers), expected, "{headers:?}");
    }

    fn total(milliseconds: u64) -> ServerTimes {
        ServerTimes { total: Some(Duration::from_millis(milliseconds)), ..ServerTimes::default() }
    }

    #[test]
    fn each_header_is_read_in_its_unit() {
        check(&[], ServerTimes::default());
        check(&[("openai-processing-ms", "498")], total(498));
        check(&[("x-amzn-bedrock-invocation-latency", "2378")], total(2378));
        check(&[("server-timing", "gfet4t7; dur=11009")], total(11_009));
        check(&[("server-timing", "cache;desc=hit, gfet4t7;dur=7")], total(7));
        check(&[("x-envoy-upstream-service-time", "3858")], total(3858));
        let tgi = ServerTimes {
            queue: Some(Duration::ZERO),
            inference: Some(Duration::from_millis(384)),
            ..total(385)
        };
        let headers = [
            ("x-compute-time", "384"),
            ("x-total-time", "385"),
            ("x-queue-time", "0"),
            ("x-inference-time", "384"),
            ("x-time-per-token", "10"),
        ];
        check(&headers, tgi);
        check(&[("x-compute-time", "384")], total(384));
        let xai = ServerTimes {
            total: Some(Duration::from_micros(2_570_600)),
            first_token: Some(Duration::from_micros(295_300)),
            ..ServerTimes::default()
        };
        check(&[("x-metrics-ttft-ms", "295.3"), ("x-metrics-e2e-ms", "2570.6")], xai);
    }

    #[test]
    fn the_provider_is_nearer_than_the_proxy_before_it() {
        check(
            &[("x-envoy-upstream-service-time", "510"), ("openai-processing-ms", "498")],
            total(498),
        );
        check(
            &[("openai-processing-ms", "none"), ("x-envoy-upstream-service-time", "5")],
            total(5),
        );
    }

    #[test]
    fn what_is_no_time_is_left_out() {
        for value in ["", "-1", "NaN", "inf", "1e400", "1e12", "12ms", "0x10"] {
            check(&[("openai-processing-ms", value)], ServerTimes::default());
        }
        for value in ["x-originResponse;dur=416", "gfet4t7", "gfet4t7;dur=x", "intid;desc=1"] {
            check(&[("server-timing", value)], ServerTimes::default());
        }
        // Seconds, by the API that wrote fractions.
        check(&[("x-compute-time", "0.384")], ServerTimes::default());
    }
}
