//! Service configs from TXT records (gRFC A2): which of several choices is this client's.

use serde_json::{Map, Value};

use crate::{ServiceConfig, balancer::Registry};

/// Who chooses.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Client {
    /// What `clientLanguage` may call it, in lower case.
    pub languages: Vec<String>,
    /// This machine's host name, which `clientHostname` may be.
    pub host_name: Option<String>,
}

/// The fields of a choice.
const FIELDS: [&str; 4] = ["clientLanguage", "percentage", "clientHostname", "serviceConfig"];

/// The service config of the first choice that is for this client; `None`: none is. A `percentage` of clients takes a choice:
/// those whose random bits say so.
///
/// # Errors
/// What is wrong with the choices, or with the service config that was chosen, and where.
pub fn choose(
    choices: &str,
    client: &Client,
    random: u64,
    registry: &Registry,
) -> Result<Option<ServiceConfig>, String> {
    let json: Value = serde_json::from_str(choices)
        .map_err(|error| format!("errors parsing service config choices: JSON parsing failed: [{error}]"))?;
    let mut reader = Reader { faults: Vec::new() };
    let chosen = reader.choices(&json, client, random);
    if !reader.faults.is_empty() {
        return Err(format!("errors parsing service config choices: [{}]", reader.faults.join("; ")));
    }
    match chosen {
        Some(config) => ServiceConfig::read(config, registry).map(Some).map_err(|error| error.to_string()),
        None => Ok(None),
    }
}

struct Reader {
    faults: Vec<String>,
}

impl Reader {
    fn fault(&mut self, field: &str, why: &str) {
        self.faults.push(format!("field:{field} error:{why}"));
    }

    fn choices<'a>(&mut self, json: &'a Value, client: &Client, random: u64) -> Option<&'a Value> {
        let Some(list) = json.as_array() else {
            self.fault("", "is not an array");
            return None;
        };
        let mut chosen = None;
        for (index, choice) in list.iter().enumerate() {
            let Some(fields) = choice.as_object() else {
                self.fault(&format!("[{index}]"), "is not an object");
                continue;
            };
            let is_ours = self.is_for(index, fields, client, random);
            match fields.get("serviceConfig") {
                Some(config) if config.is_object() => chosen = chosen.or(is_ours.then_some(config)),
                Some(_) => self.fault(&format!("[{index}].serviceConfig"), "is not an object"),
                None => self.fault(&format!("[{index}].serviceConfig"), "field not present"),
            }
        }
        chosen
    }

    /// Whether a choice is for this client. All of it is read, for a fault anywhere makes all of it invalid.
    fn is_for(&mut self, index: usize, fields: &Map<String, Value>, client: &Client, random: u64) -> bool {
        for unknown in fields.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
            self.fault(&format!("[{index}].{unknown}"), "no such field");
        }
        let languages = self.strings(index, fields, "clientLanguage");
        let host_names = self.strings(index, fields, "clientHostname");
        let percentage = self.percentage(index, fields);
        let speaks = |language: &&str| client.languages.iter().any(|ours| ours.eq_ignore_ascii_case(language));
        let is_host = |name: &&str| client.host_name.as_deref() == Some(*name);
        (languages.is_empty() || languages.iter().any(speaks))
            && (host_names.is_empty() || host_names.iter().any(is_host))
            && percentage.is_none_or(|percentage| random % 100 < percentage)
    }

    fn strings<'a>(&mut self, index: usize, fields: &'a Map<String, Value>, key: &str) -> Vec<&'a str> {
        let Some(value) = fields.get(key) else { return Vec::new() };
        let Some(list) = value.as_array() else {
            self.fault(&format!("[{index}].{key}"), "is not an array");
            return Vec::new();
        };
        let mut strings = Vec::new();
        for (item, value) in list.iter().enumerate() {
            match value.as_str() {
                Some(text) => strings.push(text),
                None => self.fault(&format!("[{index}].{key}[{item}]"), "is not a string"),
            }
        }
        strings
    }

    fn percentage(&mut self, index: usize, fields: &Map<String, Value>) -> Option<u64> {
        let value = fields.get("percentage")?;
        let percentage = value.as_u64().filter(|percentage| *percentage <= 100);
        if percentage.is_none() {
            self.fault(&format!("[{index}].percentage"), "is not a whole number from 0 to 100");
        }
        percentage
    }
}
