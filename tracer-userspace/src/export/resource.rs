//! The resource of a traced process: each process is an instance of a service of its own.
//! Takes a [`Process`] and llmtap's own variables; gives the attributes that stand over its spans.
//!
//! Arguments may hold secrets, so `process.command_args` and its like are left out. What only the
//! process itself could know (`telemetry.sdk.*`, `process.runtime.*`) is not claimed either; llmtap
//! names itself in `telemetry.distro.*`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use opentelemetry::{KeyValue, Value};
use tracing::warn;

use super::{
    service::service_name,
    variables::{Variables, pairs},
};
use crate::{capture::ProcessId, discover::Process};

/// What each process has of its own: llmtap's variables do not set it.
const SERVICE_NAME: &str = "service.name";
const SERVICE_INSTANCE: &str = "service.instance.id";
const OWN_TO_A_SERVICE: [&str; 2] = [SERVICE_NAME, SERVICE_INSTANCE];
const SERVICE_NAMESPACE: &str = "service.namespace";

/// The service that a process is an instance of, as Prometheus tells services apart (OpenTelemetry
/// specification, "Prometheus and OpenMetrics Compatibility", Resource Attributes).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// `service.namespace/service.name`, or the name alone.
    pub job: String,
    /// `service.instance.id`; empty where the process has none.
    pub instance: String,
}

/// What all resources have in common: this host, this llmtap, and what its user says.
#[derive(Debug)]
pub struct Resources {
    detected: Vec<KeyValue>,
    configured: Vec<KeyValue>,
    known: Mutex<HashMap<ProcessId, Known>>,
}

/// The machine that processes ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// `uname`'s node name; empty where it is not known.
    pub name: String,
    /// `uname`'s machine, as `x86_64`; empty where it is not known.
    pub machine: String,
}

impl Host {
    /// The one that llmtap runs on.
    pub fn this() -> Self {
        let host = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self { name: text(host.nodename()), machine: text(host.machine()) }
    }
}

/// The resource of a process that lived when it was last asked for.
#[derive(Debug)]
struct Known {
    process: Weak<Process>,
    attributes: Arc<[KeyValue]>,
}

impl Resources {
    /// llmtap's own `OTEL_RESOURCE_ATTRIBUTES` hold for every service, except for its name.
    pub fn new(variables: &Variables) -> Self {
        Self::of_host(Host::this(), variables)
    }

    /// As [`Resources::new`], for processes of another machine, or of one that is not known.
    pub fn of_host(host: Host, variables: &Variables) -> Self {
        let mut detected = vec![
            KeyValue::new("telemetry.distro.name", super::SCOPE_NAME),
            KeyValue::new("telemetry.distro.version", super::SCOPE_VERSION),
        ];
        if !host.name.is_empty() {
            detected.push(KeyValue::new("host.name", host.name));
        }
        if !host.machine.is_empty() {
            detected.push(KeyValue::new("os.type", "linux"));
            detected.push(KeyValue::new("host.arch", architecture(host.machine)));
        }
        let list = variables.get("OTEL_RESOURCE_ATTRIBUTES");
        let mut configured = list.map(|list| parsed(list, "llmtap")).unwrap_or_default();
        configured.retain(|attribute| !OWN_TO_A_SERVICE.contains(&attribute.key.as_str()));
        Self { detected, configured, known: Mutex::default() }
    }

    /// Attributes of one process's resource, each name once. What the process's environment says
    /// wins over llmtap's environment, and that over what was detected.
    pub fn of(&self, process: &Arc<Process>) -> Arc<[KeyValue]> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&process.id) {
            return Arc::clone(&known.attributes);
        }
        // Before the map would grow, those leave that no span can come from any more.
        if known.len() == known.capacity() {
            known.retain(|_, known| known.process.strong_count() > 0);
        }
        let attributes: Arc<[KeyValue]> = self.describe(process).into();
        let process_attributes = Arc::clone(&attributes);
        known.insert(process.id, Known { process: Arc::downgrade(process), attributes });
        process_attributes
    }

    /// The service of a process.
    pub fn service(&self, process: &Arc<Process>) -> Service {
        let attributes = self.of(process);
        let text = |name: &str| {
            let found = attributes.iter().find(|one| one.key.as_str() == name);
            found.map(|one| one.value.as_str().into_owned()).filter(|text| !text.is_empty())
        };
        let name = text(SERVICE_NAME).unwrap_or_default();
        let job = match text(SERVICE_NAMESPACE) {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        };
        Service { job, instance: text(SERVICE_INSTANCE).unwrap_or_default() }
    }

    /// What is told of a service of which several processes may be one: the attributes of the
    /// process, but for those that tell it from the others, and what [`Service`] has.
    pub fn of_service(&self, process: &Arc<Process>) -> Vec<(String, String)> {
        let attributes = self.of(process);
        let of_all = attributes.iter().filter(|one| {
            let name = one.key.as_str();
            !name.starts_with("process.")
                && ![SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE].contains(&name)
        });
        of_all.map(|one| (one.key.to_string(), one.value.as_str().into_owned())).collect()
    }

    fn describe(&self, process: &Process) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new(SERVICE_NAME, service_name(process))];
        attributes.extend_from_slice(&self.detected);
        attributes.extend(described(process));
        let own = process.otel_resource_attributes.as_deref();
        let own = own.map(|list| parsed(list, &format!("process {}", process.id.pid)));
        let given = self.configured.iter().cloned().chain(own.unwrap_or_default());
        for attribute in given.filter(|attribute| attribute.key.as_str() != SERVICE_NAME) {
            match attributes.iter_mut().find(|existing| existing.key == attribute.key) {
                Some(existing) => *existing = attribute,
                None => attributes.push(attribute),
            }
        }
        attributes
    }
}

/// A list that is broken anywhere is discarded whole (resource SDK specification).
fn parsed(list: &str, whose: &str) -> Vec<KeyValue> {
    match pairs(list) {
        Ok(pairs) => pairs.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
        Err(error) => {
            warn!("OTEL_RESOURCE_ATTRIBUTES of {whose} is ignored: {error}");
            Vec::new()
        }
    }
}

fn described(process: &Process) -> Vec<KeyValue> {
    let path = process.executable.as_deref();
    let name = path.and_then(|path| path.file_name());
    let text = |text: &std::ffi::OsStr| Value::from(text.to_string_lossy().into_owned());
    let number = |number: u32| Value::from(i64::from(number));
    [
        ("process.pid", Some(number(process.id.pid))),
        ("process.parent_pid", process.parent_pid.map(number)),
        ("process.executable.name", name.map(text)),
        ("process.executable.path", path.map(|path| text(path.as_os_str()))),
        ("process.real_user.id", process.uid.map(number)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some(KeyValue::new(key, value?)))
    .collect()
}

/// `host.arch` of what `uname` calls the machine; a machine without a well-known value is its own.
fn architecture(machine: String) -> String {
    match machine.as_str() {
        "x86_64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        "i386" | "i486" | "i586" | "i686" => "x86".to_owned(),
        "ppc64le" => "ppc64".to_owned(),
        "armv6l" | "armv7l" => "arm32".to_owned(),
        _ => machine,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::trace::sample;

    fn resource(variables: &[(&str, &str)], process: &Arc<Process>) -> HashMap<String, Value> {
        let resources = Resources::new(&variables.iter().copied().collect());
        let list = resources.of(process);
        let count = list.len();
        let map: HashMap<_, _> = list
            .iter()
            .map(|attribute| (attribute.key.to_string(), attribute.value.clone()))
            .collect();
        assert_eq!(map.len(), count, "a name is there twice");
        map
    }

    #[test]
    fn process_and_host_are_described() {
        let resource = resource(&[], &sample::process(42, "shop"));
        for (key, value) in [
            ("service.name", Value::from("shop")),
            ("process.pid", 42.into()),
            ("process.parent_pid", 1.into()),
            ("process.executable.name", "python3.11".into()),
            ("process.executable.path", "/usr/bin/python3.11".into()),
            ("process.real_user.id", 1000.into()),
            ("os.type", "linux".into()),
            ("telemetry.distro.name", "llmtap".into()),
        ] {
            assert_eq!(resource.get(key), Some(&value), "{key}");
        }
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        assert_eq!(resource["host.arch"], arch.into());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(resource["host.name"], host.trim().to_owned().into());
    }

    #[test]
    fn arguments_and_sdk_are_not_told() {
        let resource = resource(&[], &sample::process(42, "shop"));
        assert!(!format!("{resource:?}").contains("secret"));
        assert!(!resource.keys().any(|key| key.starts_with("telemetry.sdk")));
    }

    #[test]
    fn unknown_host_is_not_claimed() {
        let resources = Resources::of_host(Host::default(), &Variables::default());
        let list = resources.of(&sample::process(42, "shop"));
        assert!(list.iter().all(|one| !one.key.as_str().starts_with("host.")));
        assert!(list.iter().all(|one| one.key.as_str() != "os.type"));
    }

    #[test]
    fn nearer_environment_wins() {
        let mut process = sample::process(42, "shop").as_ref().clone();
        process.otel_resource_attributes = Some("team=blue,service.version=2".into());
        let variables = [(
            "OTEL_RESOURCE_ATTRIBUTES",
            "team=red,host.name=h,service.name=tracer,k8s.pod=a%2Fb",
        )];
        let resource = resource(&variables, &Arc::new(process));
        for (key, value) in [
            ("team", "blue"),
            ("service.version", "2"),
            ("host.name", "h"),
            ("k8s.pod", "a/b"),
            ("service.name", "shop"),
        ] {
            assert_eq!(resource[key], value.into(), "{key}");
        }
    }

    #[test]
    fn broken_lists_are_discarded_whole() {
        let resource =
            resource(&[("OTEL_RESOURCE_ATTRIBUTES", "team=red,broken")], &sample::process(1, "a"));
        assert!(!resource.contains_key("team"));
    }

    #[test]
    fn resources_of_ended_processes_are_forgotten() {
        let resources = Resources::new(&Variables::default());
        let living = sample::process(1, "lives");
        let first = resources.of(&living);
        for pid in 2..10_000 {
            resources.of(&sample::process(pid, "ends"));
        }
        assert!(resources.known.lock().unwrap().len() < 100);
        assert!(Arc::ptr_eq(&first, &resources.of(&living)));
    }
}
