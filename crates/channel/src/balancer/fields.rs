use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{PolicyConfig, Registry};

/// Reads the fields of a policy's config, and collects all that is wrong with them, in the words of grpcio.
pub(super) struct Fields<'a> {
    config: &'a Value,
    /// Before the names of fields: the object they are in.
    within: String,
    faults: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(config: &'a Value) -> Fields<'a> {
        Fields { config, within: String::new(), faults: Vec::new() }
    }

    /// Reads the object that is a field of this one, if it is there.
    pub(super) fn object<T>(&mut self, key: &'a str, read: impl FnOnce(&mut Fields<'a>) -> T) -> Option<T> {
        let value = self.config.get(key)?;
        if !value.is_object() {
            self.fault(key, "is not an object");
            return None;
        }
        Some(self.inner(value, key, read))
    }

    fn inner<T>(&mut self, value: &'a Value, key: &str, read: impl FnOnce(&mut Fields<'a>) -> T) -> T {
        let mut inner = Fields { config: value, within: self.name(key), faults: Vec::new() };
        let read = read(&mut inner);
        self.faults.append(&mut inner.faults);
        read
    }

    /// Reads the objects of a field that must be there, which is an object of them by name.
    pub(super) fn objects(&mut self, key: &str, mut read: impl FnMut(&str, &mut Fields<'a>)) {
        if self.required(key).is_none() {
            return;
        }
        let Some(objects) = self.config.get(key).and_then(Value::as_object) else {
            return self.fault(key, "is not an object");
        };
        for (name, value) in objects {
            let field = format!("{key}[\"{name}\"]");
            if value.is_object() {
                self.inner(value, &field, |fields| read(name, fields));
            } else {
                self.fault(&field, "is not an object");
            }
        }
    }

    /// Whether a field is there that must be.
    pub(super) fn required(&mut self, key: &str) -> Option<()> {
        if self.config.get(key).is_none() {
            self.fault(key, "field not present");
            return None;
        }
        Some(())
    }

    pub(super) fn fault(&mut self, key: &str, why: &str) {
        let name = self.name(key);
        self.faults.push(format!("field:{name} error:{why}"));
    }

    fn name(&self, key: &str) -> String {
        let dot = if self.within.is_empty() { "" } else { "." };
        format!("{}{dot}{key}", self.within)
    }

    /// A number, which may be written as a string.
    pub(super) fn number(&mut self, key: &str, default: f64) -> f64 {
        let Some(value) = self.config.get(key) else { return default };
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite());
        number.unwrap_or_else(|| {
            self.fault(key, "is not a number");
            default
        })
    }

    /// A number without fraction, from 0 to `u32::MAX`.
    pub(super) fn whole(&mut self, key: &str, default: u32) -> u32 {
        let number = self.number(key, f64::from(default));
        if number < 0.0 || number > f64::from(u32::MAX) || number.fract() != 0.0 {
            self.fault(key, "failed to parse non-negative number");
            return default;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is in the range.
        let whole = number as u32;
        whole
    }

    pub(super) fn percent(&mut self, key: &str, default: u32) -> u32 {
        let percent = self.whole(key, default);
        if percent > 100 {
            self.fault(key, "value must be <= 100");
        }
        percent.min(100)
    }

    pub(super) fn boolean(&mut self, key: &str, default: bool) -> bool {
        match self.config.get(key) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(_) => {
                self.fault(key, "is not a boolean");
                default
            }
        }
    }

    pub(super) fn string(&mut self, key: &str) -> Option<String> {
        let text = self.config.get(key)?.as_str();
        if text.is_none() {
            self.fault(key, "is not a string");
        }
        text.map(str::to_owned)
    }

    pub(super) fn strings(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.config.get(key) else { return Vec::new() };
        let Some(list) = value.as_array() else {
            self.fault(key, "is not an array");
            return Vec::new();
        };
        let mut strings = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            match item.as_str() {
                Some(text) => strings.push(text.to_owned()),
                None => self.fault(&format!("{key}[{index}]"), "is not a string"),
            }
        }
        strings
    }

    /// A list of policies, of which the first that is known counts.
    pub(super) fn policy(&mut self, key: &str, registry: &Registry) -> Option<Arc<dyn PolicyConfig>> {
        self.required(key)?;
        let Some(list) = self.config.get(key).and_then(Value::as_array) else {
            self.fault(key, "type should be array");
            return None;
        };
        registry.first_known(list).map_err(|why| self.fault(key, &why)).ok()
    }

    /// Seconds as protobuf's JSON writes them: `"1.5s"`.
    pub(super) fn duration(&mut self, key: &str, default: Duration) -> Duration {
        let Some(value) = self.config.get(key) else { return default };
        let seconds = value.as_str().and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse().ok());
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_else(|| {
            self.fault(key, "is not a duration");
            default
        })
    }

    /// # Errors
    /// All that was wrong.
    pub(super) fn finish(mut self, policy: &str) -> Result<(), String> {
        if self.faults.is_empty() {
            return Ok(());
        }
        self.faults.sort();
        Err(format!("errors validating {policy} LB policy config: [{}]", self.faults.join("; ")))
    }
}
