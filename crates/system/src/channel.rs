//! What hands make of a target and a channel's options.

use std::time::Instant;

use farcall_channel::{Channel, Target};
use farcall_core::{Code, Status};

use crate::{options::ChannelOptions, process, proxy::Proxied};

/// The brain of a channel, and `:authority` of its calls. Where the target, the proxy or the service config cannot be used,
/// every call of it ends with a status that says so.
pub fn brain_of<C: Clone, K>(name: &str, options: &ChannelOptions) -> (Channel<C, K>, String) {
    let target = Target::parse(name);
    let theirs = target.as_ref().map_or("", |target| target.authority.as_str());
    let authority = options.authority.clone().unwrap_or_else(|| theirs.to_owned());
    let (mut config, now) = (options.channel.clone(), Instant::now());
    let usable = target.map_err(|error| Status::new(Code::Unknown, error.to_string())).and_then(|target| {
        let way = Proxied::way(&target.endpoint, options);
        let way = way.map_err(|error| Status::new(Code::Unavailable, error.to_string()))?;
        config.proxy = way.map(|way| way.proxy);
        match &options.service_config_error {
            None => Ok(target),
            Some(error) => {
                let text = format!("Failed to create channel to '{name}':{error}");
                Err(Status::new(Code::InvalidArgument, text))
            }
        }
    });
    let brain = match usable {
        Ok(target) => Channel::new(target, config, process::random(), now),
        Err(status) => Channel::lame(status, config, now),
    };
    (brain, authority)
}
