//! Service configs (grpc/grpc `doc/service_config.md`): what a service's owner wants of its callers, as JSON.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use farcall_core::Code;
use serde_json::{Map, Value};

use crate::{
    balancer::{PickFirstConfig, PolicyConfig, Registry},
    limits::MAX_ATTEMPTS,
};

/// A service config.
#[derive(Clone, Default, Debug)]
pub struct ServiceConfig {
    /// By path (`/package.Service/Method`), by service (`/package.Service/`), and `""` for everything else. There are few,
    /// and to compare with them costs a call less than to hash its path.
    methods: BTreeMap<String, Arc<MethodConfig>>,
    /// When servers of the channel are too unwell for retries.
    pub throttling: Option<ThrottlingConfig>,
    /// The first load balancing policy asked for that is known, with its config.
    pub load_balancing: Option<Arc<dyn PolicyConfig>>,
    /// The service whose health servers are asked for (gRFC A17); empty is the server as a whole.
    pub health_service: Option<Arc<str>>,
    /// What the config asks for and no channel does, each with what happens instead, for people.
    pub without_effect: Vec<String>,
}

/// Load balancing policies of gRPC that are not here. A config that knows only such ones gets `pick_first`, so that a program
/// of theirs goes on, and a note.
const POLICIES_ELSEWHERE: [&str; 8] = [
    "cds_experimental",
    "grpclb",
    "rls_experimental",
    "xds_cluster_impl_experimental",
    "xds_cluster_manager_experimental",
    "xds_cluster_resolver_experimental",
    "xds_override_host_experimental",
    "xds_wrr_locality_experimental",
];

fn is_elsewhere(policy: &str) -> bool {
    POLICIES_ELSEWHERE.contains(&policy)
}

fn stand_in() -> Arc<dyn PolicyConfig> {
    Arc::new(PickFirstConfig::default())
}

/// The configuration of a method's calls.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct MethodConfig {
    /// How long a call may take; its own deadline may come sooner.
    pub timeout: Option<Duration>,
    /// Whether a call waits out failures to connect, unless it says itself.
    pub wait_for_ready: Option<bool>,
    /// Largest request, bytes.
    pub max_request: Option<usize>,
    /// Largest response, bytes.
    pub max_response: Option<usize>,
    /// Whether and how failed calls are made again.
    pub retry: Option<RetryPolicy>,
    /// Whether and how calls are made several times at once.
    pub hedging: Option<HedgingPolicy>,
}

/// How failed calls are made again (gRFC A6).
#[derive(Clone, PartialEq, Debug)]
pub struct RetryPolicy {
    /// Attempts in all, 2 to 5.
    pub max_attempts: u32,
    /// The bound of the first delay.
    pub initial_backoff: Duration,
    /// The bound of any delay.
    pub max_backoff: Duration,
    /// What each bound is multiplied by for the next.
    pub multiplier: f64,
    /// Codes that are worth another attempt.
    pub codes: Vec<Code>,
}

/// How calls are made several times at once (gRFC A6): the first good answer is the call's.
#[derive(Clone, PartialEq, Debug)]
pub struct HedgingPolicy {
    /// Attempts in all, 2 to 5.
    pub max_attempts: u32,
    /// How long after each attempt the next begins; zero: all at once.
    pub delay: Duration,
    /// Codes that leave the call to its other attempts. Any other ends it.
    pub codes: Vec<Code>,
}

/// When failures are so many that retries would only make things worse.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ThrottlingConfig {
    /// Tokens at most, 1 to 1000; each failure takes one, and below half nothing is retried.
    pub max_tokens: u32,
    /// What each success gives back, in thousandths of a token.
    pub thousandths_per_success: u32,
}

impl ServiceConfig {
    /// Reads a config. Fields that are not known are passed over, as newer configs may have them.
    ///
    /// # Errors
    /// What is wrong, and where: all of it, not only the first.
    pub fn parse(text: &str) -> Result<ServiceConfig, InvalidServiceConfig> {
        ServiceConfig::parse_with(text, &Registry::default())
    }

    /// [`parse`](ServiceConfig::parse) with other policies than those of this crate.
    ///
    /// # Errors
    /// What is wrong, and where: all of it, not only the first.
    pub fn parse_with(text: &str, registry: &Registry) -> Result<ServiceConfig, InvalidServiceConfig> {
        let json: Value = serde_json::from_str(text)
            .map_err(|error| InvalidServiceConfig(format!("JSON parsing failed: [{error}]")))?;
        ServiceConfig::read(&json, registry)
    }

    /// Reads a config that is JSON already.
    pub(crate) fn read(json: &Value, registry: &Registry) -> Result<ServiceConfig, InvalidServiceConfig> {
        let mut reader = Reader { faults: Vec::new(), without_effect: Vec::new(), registry };
        let config = reader.config(json);
        if reader.faults.is_empty() {
            return Ok(config);
        }
        reader.faults.sort();
        Err(InvalidServiceConfig(format!("errors validating service config: [{}]", reader.faults.join("; "))))
    }

    /// What is asked of calls of this path, if anything.
    pub fn method(&self, path: &str) -> Option<&Arc<MethodConfig>> {
        if self.methods.is_empty() {
            return None;
        }
        let service = path.rfind('/').map_or("", |slash| &path[..=slash]);
        self.methods.get(path).or_else(|| self.methods.get(service)).or_else(|| self.methods.get(""))
    }
}

/// A service config that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidServiceConfig(String);

impl fmt::Display for InvalidServiceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidServiceConfig {}

/// Collects what is wrong while it reads.
struct Reader<'a> {
    registry: &'a Registry,
    faults: Vec<String>,
    without_effect: Vec<String>,
}

impl Reader<'_> {
    fn fault(&mut self, field: &str, why: &str) {
        self.faults.push(format!("field:{field} error:{why}"));
    }

    fn config(&mut self, json: &Value) -> ServiceConfig {
        let mut config = ServiceConfig::default();
        let Some(json) = self.object("", json) else { return config };
        for (index, item) in self.array(json, "", "methodConfig").into_iter().flatten().enumerate() {
            let field = format!("methodConfig[{index}]");
            let Some(item) = self.object(&field, item) else { continue };
            let method = Arc::new(self.method(&field, item));
            for (index, name) in self.array(item, &field, "name").into_iter().flatten().enumerate() {
                let field = format!("{field}.name[{index}]");
                let Some(path) = self.path(&field, name) else { continue };
                if config.methods.insert(path.clone(), Arc::clone(&method)).is_some() {
                    self.fault(&field, &format!("multiple method configs for path {path}"));
                }
            }
        }
        config.throttling = json.get("retryThrottling").and_then(|json| self.throttling(json));
        config.health_service = self.health_service(json);
        config.load_balancing = self.load_balancing(json);
        config.without_effect = std::mem::take(&mut self.without_effect);
        config
    }

    fn health_service(&mut self, json: &Map<String, Value>) -> Option<Arc<str>> {
        let json = json.get("healthCheckConfig").and_then(|json| self.object("healthCheckConfig", json))?;
        match json.get("serviceName")? {
            Value::String(service) => Some(service.as_str().into()),
            _ => {
                self.fault("healthCheckConfig.serviceName", "is not a string");
                None
            }
        }
    }

    /// Remembers, once, what has no effect.
    fn note(&mut self, text: &str) {
        if !self.without_effect.iter().any(|noted| noted == text) {
            self.without_effect.push(text.to_owned());
        }
    }

    fn path(&mut self, field: &str, name: &Value) -> Option<String> {
        let name = self.object(field, name)?;
        let part = |key| name.get(key).and_then(Value::as_str).unwrap_or_default();
        match (part("service"), part("method")) {
            ("", "") => Some(String::new()),
            ("", _) => {
                self.fault(&format!("{field}.method"), "method name populated without service name");
                None
            }
            (service, method) => Some(format!("/{service}/{method}")),
        }
    }

    fn method(&mut self, field: &str, json: &Map<String, Value>) -> MethodConfig {
        if json.contains_key("hedgingPolicy") && json.contains_key("retryPolicy") {
            self.fault(&format!("{field}.hedgingPolicy"), "retryPolicy is present: a method has one of the two");
        }
        MethodConfig {
            timeout: self.duration(json, field, "timeout"),
            wait_for_ready: match json.get("waitForReady") {
                None => None,
                Some(Value::Bool(wait)) => Some(*wait),
                Some(_) => {
                    self.fault(&format!("{field}.waitForReady"), "is not a boolean");
                    None
                }
            },
            max_request: self.size(json, field, "maxRequestMessageBytes"),
            max_response: self.size(json, field, "maxResponseMessageBytes"),
            retry: json.get("retryPolicy").and_then(|json| self.retry(&format!("{field}.retryPolicy"), json)),
            hedging: json.get("hedgingPolicy").and_then(|json| self.hedging(&format!("{field}.hedgingPolicy"), json)),
        }
    }

    fn retry(&mut self, field: &str, json: &Value) -> Option<RetryPolicy> {
        let json = self.object(field, json)?;
        let faults = self.faults.len();
        let max_attempts = self.max_attempts(field, json);
        let initial_backoff = self.positive_duration(json, field, "initialBackoff");
        let max_backoff = self.positive_duration(json, field, "maxBackoff");
        let multiplier = self.number(json, field, "backoffMultiplier").unwrap_or(0.0);
        if multiplier <= 0.0 {
            self.fault(&format!("{field}.backoffMultiplier"), "must be greater than 0");
        }
        let codes = self.codes(field, json, "retryableStatusCodes");
        if codes.is_empty() {
            self.fault(&format!("{field}.retryableStatusCodes"), "must be non-empty");
        }
        (self.faults.len() == faults).then_some(RetryPolicy {
            max_attempts,
            initial_backoff,
            max_backoff,
            multiplier,
            codes,
        })
    }

    fn hedging(&mut self, field: &str, json: &Value) -> Option<HedgingPolicy> {
        let json = self.object(field, json)?;
        let faults = self.faults.len();
        let max_attempts = self.max_attempts(field, json);
        let delay = self.duration(json, field, "hedgingDelay").unwrap_or_default();
        let codes = self.codes(field, json, "nonFatalStatusCodes");
        (self.faults.len() == faults).then_some(HedgingPolicy { max_attempts, delay, codes })
    }

    fn max_attempts(&mut self, field: &str, json: &Map<String, Value>) -> u32 {
        let number = self.number(json, field, "maxAttempts").unwrap_or(0.0);
        if number < 2.0 {
            self.fault(&format!("{field}.maxAttempts"), "must be at least 2");
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to small whole numbers.
        let clamped = number.clamp(0.0, f64::from(MAX_ATTEMPTS)) as u32;
        clamped
    }

    fn codes(&mut self, field: &str, json: &Map<String, Value>, key: &str) -> Vec<Code> {
        let mut codes = Vec::new();
        for (index, code) in self.array(json, field, key).into_iter().flatten().enumerate() {
            let found = code.as_str().and_then(|name| Code::ALL.into_iter().find(|code| code.name() == name));
            match found {
                Some(code) => codes.push(code),
                None => self.fault(&format!("{field}.{key}[{index}]"), "failed to parse status code"),
            }
        }
        codes
    }

    fn throttling(&mut self, json: &Value) -> Option<ThrottlingConfig> {
        let json = self.object("retryThrottling", json)?;
        let max_tokens = self.number(json, "retryThrottling", "maxTokens").unwrap_or(0.0);
        let ratio = self.number(json, "retryThrottling", "tokenRatio").unwrap_or(0.0);
        if !(1.0..=1000.0).contains(&max_tokens) {
            self.fault("retryThrottling.maxTokens", "must be greater than 0 and at most 1000");
        }
        if ratio < 0.001 {
            self.fault("retryThrottling.tokenRatio", "must be greater than 0");
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped; what is wrong is not used.
        Some(ThrottlingConfig {
            max_tokens: max_tokens.clamp(0.0, 1000.0) as u32,
            thousandths_per_success: (ratio * 1000.0).clamp(0.0, 1_000_000.0) as u32,
        })
    }

    /// The first policy of the list that is known; without a list, the one that the older field names.
    fn load_balancing(&mut self, json: &Map<String, Value>) -> Option<Arc<dyn PolicyConfig>> {
        let named = self.named_policy(json);
        let Some(policies) = self.array(json, "", "loadBalancingConfig") else { return named };
        let names = || policies.iter().filter_map(Value::as_object).filter_map(|policy| policy.keys().next());
        let missing = names().take_while(|name| !self.registry.knows(name)).find(|name| is_elsewhere(name)).cloned();
        let chosen = match self.registry.first_known(policies) {
            Ok(policy) => policy,
            Err(_) if missing.is_some() && !names().any(|name| self.registry.knows(name)) => stand_in(),
            Err(why) => {
                self.fault("loadBalancingConfig", &why);
                return None;
            }
        };
        if let Some(missing) = missing {
            let instead = chosen.name();
            self.note(&format!("the load balancing policy {missing} is not available: {instead} is used"));
        }
        Some(chosen)
    }

    fn named_policy(&mut self, json: &Map<String, Value>) -> Option<Arc<dyn PolicyConfig>> {
        let value = json.get("loadBalancingPolicy")?;
        let Some(name) = value.as_str() else {
            self.fault("loadBalancingPolicy", "is not a string");
            return None;
        };
        let known = name.to_ascii_lowercase();
        match self.registry.policy(&known) {
            Ok(policy) => Some(policy),
            Err(_) if is_elsewhere(&known) => {
                self.note(&format!("the load balancing policy {known} is not available: pick_first is used"));
                Some(stand_in())
            }
            Err(why) => {
                self.fault("loadBalancingPolicy", &why.replace(&known, name));
                None
            }
        }
    }

    // Values.

    fn object<'a>(&mut self, field: &str, json: &'a Value) -> Option<&'a Map<String, Value>> {
        if json.as_object().is_none() {
            self.fault(field, "is not an object");
        }
        json.as_object()
    }

    fn array<'a>(&mut self, json: &'a Map<String, Value>, field: &str, key: &str) -> Option<&'a Vec<Value>> {
        let value = json.get(key)?;
        if value.as_array().is_none() {
            self.fault(&join(field, key), "is not an array");
        }
        value.as_array()
    }

    /// A number, which may be written as a string.
    fn number(&mut self, json: &Map<String, Value>, field: &str, key: &str) -> Option<f64> {
        let value = json.get(key)?;
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite());
        if number.is_none() {
            self.fault(&join(field, key), "is not a number");
        }
        number
    }

    fn size(&mut self, json: &Map<String, Value>, field: &str, key: &str) -> Option<usize> {
        let number = self.number(json, field, key)?;
        if !(0.0..=f64::from(u32::MAX)).contains(&number) {
            self.fault(&join(field, key), "is not a size");
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // It is in the range.
        Some(number as usize)
    }

    /// Seconds as protobuf's JSON writes them: `"1.5s"`.
    fn duration(&mut self, json: &Map<String, Value>, field: &str, key: &str) -> Option<Duration> {
        let value = json.get(key)?;
        let seconds = value.as_str().and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse().ok());
        let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if duration.is_none() {
            self.fault(&join(field, key), "is not a duration");
        }
        duration
    }

    fn positive_duration(&mut self, json: &Map<String, Value>, field: &str, key: &str) -> Duration {
        let duration = self.duration(json, field, key).unwrap_or_default();
        if duration.is_zero() {
            self.fault(&join(field, key), "must be greater than 0");
        }
        duration
    }
}

fn join(field: &str, key: &str) -> String {
    if field.is_empty() { key.to_owned() } else { format!("{field}.{key}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use farcall_core::Code;

    use super::{HedgingPolicy, ServiceConfig, ThrottlingConfig};

    const POLICY: &str = r#"{"maxAttempts":4,"initialBackoff":"0.1s","maxBackoff":"1s","backoffMultiplier":2,
        "retryableStatusCodes":["UNAVAILABLE"]}"#;

    fn fault(text: &str) -> String {
        ServiceConfig::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_most_exact_name_wins() {
        let config = ServiceConfig::parse(
            r#"{"methodConfig":[{"name":[{}],"timeout":"3s"},{"name":[{"service":"a.B"}],"timeout":"2s"},
               {"name":[{"service":"a.B","method":"C"}],"timeout":"1.5s","waitForReady":true,"maxRequestMessageBytes":"7"}]}"#,
        )
        .unwrap();
        let timeout = |path| config.method(path).unwrap().timeout.unwrap();
        assert_eq!(timeout("/a.B/C"), Duration::from_millis(1500));
        assert_eq!(timeout("/a.B/D"), Duration::from_secs(2));
        assert_eq!(timeout("/x/y"), Duration::from_secs(3));
        assert_eq!(config.method("/a.B/C").unwrap().wait_for_ready, Some(true));
        assert_eq!(config.method("/a.B/C").unwrap().max_request, Some(7));
        assert!(ServiceConfig::parse("{}").unwrap().method("/a.B/C").is_none());
    }

    #[test]
    fn retries_throttling_and_balancing() {
        let text = format!(
            r#"{{"methodConfig":[{{"name":[{{}}],"retryPolicy":{POLICY}}}],"future":1,
               "retryThrottling":{{"maxTokens":10,"tokenRatio":0.1}},
               "loadBalancingConfig":[{{"fancy":{{}}}},{{"round_robin":{{}}}}]}}"#
        );
        let config = ServiceConfig::parse(&text).unwrap();
        let retry = config.method("/any/thing").unwrap().retry.clone().unwrap();
        assert_eq!((retry.max_attempts, retry.codes), (4, vec![Code::Unavailable]));
        assert_eq!(config.throttling, Some(ThrottlingConfig { max_tokens: 10, thousandths_per_success: 100 }));
        assert_eq!(config.load_balancing.as_ref().unwrap().name(), "round_robin");
        let many = text.replace("\"maxAttempts\":4", "\"maxAttempts\":9");
        assert_eq!(ServiceConfig::parse(&many).unwrap().method("/a/b").unwrap().retry.clone().unwrap().max_attempts, 5);
    }

    #[test]
    fn hedging() {
        let hedging = |policy: &str| {
            let text = format!(r#"{{"methodConfig":[{{"name":[{{}}],"hedgingPolicy":{policy}}}]}}"#);
            ServiceConfig::parse(&text).map(|config| config.method("/a.B/C").unwrap().hedging.clone().unwrap())
        };
        let all = hedging(r#"{"maxAttempts":9,"hedgingDelay":"0.5s","nonFatalStatusCodes":["UNAVAILABLE","ABORTED"]}"#);
        let codes = vec![Code::Unavailable, Code::Aborted];
        assert_eq!(all, Ok(HedgingPolicy { max_attempts: 5, delay: Duration::from_millis(500), codes }));
        let least = hedging(r#"{"maxAttempts":2}"#).unwrap();
        assert_eq!((least.max_attempts, least.delay, least.codes), (2, Duration::ZERO, vec![]));
        for (policy, fault) in [
            ("3", "hedgingPolicy error:is not an object"),
            ("{}", "hedgingPolicy.maxAttempts error:must be at least 2"),
            (r#"{"maxAttempts":1}"#, "hedgingPolicy.maxAttempts error:must be at least 2"),
            (r#"{"maxAttempts":"x"}"#, "hedgingPolicy.maxAttempts error:is not a number"),
            (r#"{"maxAttempts":2,"hedgingDelay":"-1s"}"#, "hedgingPolicy.hedgingDelay error:is not a duration"),
            (r#"{"maxAttempts":2,"nonFatalStatusCodes":5}"#, "hedgingPolicy.nonFatalStatusCodes error:is not an array"),
            (
                r#"{"maxAttempts":2,"nonFatalStatusCodes":["OK","NOPE"]}"#,
                "hedgingPolicy.nonFatalStatusCodes[1] error:failed to parse status code",
            ),
        ] {
            let text = hedging(policy).unwrap_err().to_string();
            assert!(text.contains(&format!("[field:methodConfig[0].{fault}")), "{policy}: {text}");
        }
        let both =
            format!(r#"{{"methodConfig":[{{"name":[],"retryPolicy":{POLICY},"hedgingPolicy":{{"maxAttempts":2}}}}]}}"#);
        assert!(fault(&both).contains("field:methodConfig[0].hedgingPolicy error:retryPolicy is present"));
    }

    #[test]
    fn says_what_has_no_effect() {
        let notes = |text: &str| ServiceConfig::parse(text).unwrap().without_effect;
        let none: [&str; 0] = [];
        assert_eq!(notes(r#"{"loadBalancingConfig":[{"fancy":{}},{"pick_first":{}}],"healthCheckConfig":{}}"#), none);
        assert_eq!(notes(r#"{"loadBalancingPolicy":"PICK_FIRST"}"#), none);
        assert_eq!(notes(r#"{"loadBalancingPolicy":"Round_Robin"}"#), none);
        for policy in ["rls_experimental", "grpclb"] {
            let text = format!("the load balancing policy {policy} is not available: pick_first is used");
            for config in [
                format!(r#"{{"loadBalancingConfig":[{{"{policy}":{{}}}},{{"pick_first":{{}}}}]}}"#),
                format!(r#"{{"loadBalancingPolicy":"{policy}"}}"#),
            ] {
                assert_eq!(notes(&config), [&*text], "{config}");
            }
        }
        let all = r#"{"methodConfig":[{"name":[{}],"hedgingPolicy":{"maxAttempts":3}},
            {"name":[{"service":"a.B"}],"hedgingPolicy":{"maxAttempts":3}}],"healthCheckConfig":{"serviceName":"a.B"},
            "loadBalancingConfig":[{"grpclb":{}},{"pick_first":{"shuffleAddressList":true}}]}"#;
        let starts: Vec<String> =
            notes(all).iter().map(|note| note.split(':').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(starts, ["the load balancing policy grpclb is not available"]);
    }

    #[test]
    fn the_service_whose_health_is_asked_for_may_be_the_empty_one() {
        let service = |health: &str| {
            let config = ServiceConfig::parse(&format!(r#"{{"healthCheckConfig":{health}}}"#)).unwrap();
            config.health_service.map(|service| service.to_string())
        };
        assert_eq!(service("{}"), None);
        assert_eq!(service(r#"{"serviceName":""}"#).as_deref(), Some(""));
        assert_eq!(service(r#"{"serviceName":"a.B"}"#).as_deref(), Some("a.B"));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert!(fault("nonsense").starts_with("JSON parsing failed: ["));
        assert_eq!(fault("[]"), "errors validating service config: [field: error:is not an object]");
        assert!(fault(r#"{"methodConfig":3}"#).contains("field:methodConfig error:is not an array"));
        let once = POLICY.replace('4', "1");
        let text = format!(r#"{{"methodConfig":[{{"name":[],"retryPolicy":{once}}}]}}"#);
        assert!(fault(&text).contains("[field:methodConfig[0].retryPolicy.maxAttempts error:must be at least 2]"));
        let twice = r#"{"methodConfig":[{"name":[{"service":"t"},{"service":"t"}]}]}"#;
        assert!(fault(twice).contains("field:methodConfig[0].name[1] error:multiple method configs for path /t/"));
        let small = POLICY.replace("UNAVAILABLE", "unavailable").replace("0.1s", "-1s").replace(":2,", ":0,");
        let text =
            format!(r#"{{"methodConfig":[{{"name":[],"retryPolicy":{small},"timeout":1,"waitForReady":"yes"}}]}}"#);
        for field in [
            "retryableStatusCodes[0] error:failed to parse status code",
            "retryableStatusCodes error:must be non-empty",
            "initialBackoff error:is not a duration",
            "backoffMultiplier error:must be greater than 0",
            "timeout error:is not a duration",
            "waitForReady error:is not a boolean",
        ] {
            assert!(fault(&text).contains(field), "{field} in {}", fault(&text));
        }
        for (list, why) in [
            (r#"[{"foo":{}},{"bar":{}}]"#, "No known policies in list: foo bar"),
            ("[]", "No known policies in list: "),
            (r#"[{"pick_first":{},"round_robin":{}}]"#, "oneOf violation"),
            ("[3]", "child entry should be of type object"),
            (r#"[{"round_robin":3}]"#, "child entry should be of type object"),
            (
                r#"[{"pick_first":{"shuffleAddressList":3}}]"#,
                "errors validating pick_first LB policy config: [field:shuffleAddressList error:is not a boolean]",
            ),
        ] {
            let expected = format!("errors validating service config: [field:loadBalancingConfig error:{why}]");
            assert_eq!(fault(&format!(r#"{{"loadBalancingConfig":{list}}}"#)), expected);
        }
        assert!(fault(r#"{"loadBalancingPolicy":"Fancy"}"#).contains("unknown LB policy \"Fancy\""));
        assert!(fault(r#"{"loadBalancingPolicy":5}"#).contains("field:loadBalancingPolicy error:is not a string"));
        let health = fault(r#"{"healthCheckConfig":{"serviceName":5}}"#);
        assert!(health.contains("field:healthCheckConfig.serviceName error:is not a string"), "{health}");
        let throttling = r#"{"retryThrottling":{"maxTokens":1001,"tokenRatio":0}}"#;
        assert!(fault(throttling).contains("maxTokens") && fault(throttling).contains("tokenRatio"));
    }
}
