//! What is known of a traced process, read once from `/proc` while it lives.
//! Takes a pid; gives a [`Process`], which names the service and its resource attributes.
//! Nothing here is guessed: what `/proc` did not give is `None`.

use std::path::PathBuf;

use crate::capture::ProcessId;

/// A program in execution, as `/proc` described it when it was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub id: ProcessId,
    pub parent_pid: Option<u32>,
    /// `/proc/PID/exe`, without the kernel's ` (deleted)` mark.
    pub executable: Option<PathBuf>,
    /// Arguments, with the command itself first.
    pub command: Vec<String>,
    /// Name of the user that owns the process, as a number.
    pub uid: Option<u32>,
    /// Of its environment, only what OpenTelemetry defines: `OTEL_SERVICE_NAME`.
    pub otel_service_name: Option<String>,
    /// Of its environment: `OTEL_RESOURCE_ATTRIBUTES`.
    pub otel_resource_attributes: Option<String>,
}
