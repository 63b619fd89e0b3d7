//! A call of the Model Context Protocol: `mcp.*`, `jsonrpc.*`.
//! Takes the call; gives attributes.
//! Knows nothing of models.

use super::{list::Attributes, profile::ContentPlace};
use crate::genai::{McpCall, OperationName};

impl Attributes {
    pub(super) fn mcp(&mut self, call: &McpCall, content: ContentPlace) {
        if call.is_tool() {
            self.text("gen_ai.operation.name", Some(OperationName::ExecuteTool.as_str()));
        }
        self.text("mcp.method.name", Some(&call.method));
        self.text("mcp.protocol.version", call.protocol_version.as_deref());
        self.text("mcp.session.id", call.session_id.as_deref());
        self.text("mcp.resource.uri", call.resource_uri.as_deref());
        self.text("jsonrpc.request.id", call.request_id.as_deref());
        self.text("gen_ai.tool.name", call.tool_name.as_deref());
        self.text("gen_ai.prompt.name", call.prompt_name.as_deref());
        let code = call.error_code.map(|code| code.to_string());
        self.text("rpc.response.status_code", code.as_deref());
        self.text("network.transport", Some("tcp"));
        self.text("network.protocol.name", Some("http"));
        for (key, value) in [
            ("gen_ai.tool.call.arguments", &call.arguments),
            ("gen_ai.tool.call.result", &call.result),
        ] {
            if let Some(value) = value.as_ref().filter(|_| content.on_spans()) {
                self.set(key, value.to_string());
            }
        }
    }
}
