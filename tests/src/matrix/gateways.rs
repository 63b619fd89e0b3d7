//! How each gateway is started: TLS towards its clients, and TLS towards the server behind.
//! Takes the program and the server's port; gives a command and the port in front.

use std::{fs, process::Command};

use anyhow::Result;

use super::part::Part;
use crate::{Lab, nginx};

pub(super) type Gateway = fn(&Lab, &Part, u16) -> Result<(Command, u16)>;

pub(super) fn nginx(lab: &Lab, part: &Part, behind: u16) -> Result<(Command, u16)> {
    nginx_with(lab, part, behind, "")
}

/// With the kernel to encrypt.
pub(super) fn nginx_in_kernel(lab: &Lab, part: &Part, behind: u16) -> Result<(Command, u16)> {
    nginx_with(lab, part, behind, "ssl_conf_command Options KTLS; sendfile on;")
}

fn nginx_with(lab: &Lab, part: &Part, behind: u16, more: &str) -> Result<(Command, u16)> {
    let port = nginx::free_port()?;
    let locations = format!(
        "{more} location / {{ proxy_pass https://127.0.0.1:{behind}; proxy_http_version 1.1;
           proxy_set_header Host $http_host; proxy_buffering off; }}"
    );
    let file = nginx::configure(lab.folder(), &lab.authority, port, "ssl http2", &locations)?;
    Ok((nginx::command(&part.program, lab.folder(), &file), port))
}

pub(super) fn caddy(lab: &Lab, part: &Part, behind: u16) -> Result<(Command, u16)> {
    let port = nginx::free_port()?;
    let configuration = lab.file("Caddyfile");
    fs::write(
        &configuration,
        format!(
            "{{\n admin off\n auto_https off\n persist_config off\n}}\n\
             https://localhost:{port} {{\n tls {} {}\n\
             reverse_proxy https://localhost:{behind} {{\n flush_interval -1\n\
             transport http {{\n tls_trust_pool file {}\n}}\n}}\n}}\n",
            lab.authority.certificate.display(),
            lab.authority.key.display(),
            lab.authority.root.display()
        ),
    )?;
    let mut caddy = Command::new(&part.program);
    caddy.args(["run", "--adapter", "caddyfile", "--config"]).arg(&configuration);
    for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        caddy.env(name, lab.folder());
    }
    Ok((caddy, port))
}
