use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use super::{
    LeastRequestConfig, OutlierDetectionFactory, PickFirstConfig, PolicyConfig, PriorityFactory,
    RandomSubsettingFactory, RingHashConfig, RoundRobinConfig, WeightedRoundRobinConfig, WeightedTargetFactory,
    guarded::Foreign,
};

/// Reads the configs of one policy.
pub trait PolicyFactory: fmt::Debug + Send + Sync {
    /// The policy's name, as `loadBalancingConfig` has it.
    fn name(&self) -> &str;

    /// Reads a config, a JSON object.
    ///
    /// # Errors
    /// What is wrong with it, in the words of grpcio: `errors validating pick_first LB policy config: [field:... error:...]`.
    fn parse(&self, config: &Value, registry: &Registry) -> Result<Arc<dyn PolicyConfig>, String>;
}

/// The policies that service configs may name.
#[derive(Clone, Debug)]
pub struct Registry {
    factories: BTreeMap<String, Arc<dyn PolicyFactory>>,
}

impl Default for Registry {
    fn default() -> Registry {
        let mut registry = Registry { factories: BTreeMap::new() };
        registry.insert(Arc::new(PickFirstConfig::default()));
        registry.insert(Arc::new(RoundRobinConfig));
        registry.insert(Arc::new(WeightedRoundRobinConfig::default()));
        registry.insert(Arc::new(LeastRequestConfig::default()));
        registry.insert(Arc::new(OutlierDetectionFactory));
        registry.insert(Arc::new(RandomSubsettingFactory));
        registry.insert(Arc::new(RingHashConfig::default()));
        registry.insert(Arc::new(WeightedTargetFactory));
        registry.insert(Arc::new(PriorityFactory));
        registry
    }
}

impl Registry {
    /// Adds a policy, or puts it in the place of that of the same name. Panics of it go no further.
    pub fn register(&mut self, factory: Arc<dyn PolicyFactory>) {
        self.insert(Arc::new(Foreign(factory)));
    }

    fn insert(&mut self, factory: Arc<dyn PolicyFactory>) {
        self.factories.insert(factory.name().to_owned(), factory);
    }

    /// Whether there is a policy of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.factories.contains_key(name)
    }

    /// The policy of this name with its default config.
    ///
    /// # Errors
    /// `unknown LB policy "name"`, or that it needs a config.
    pub fn policy(&self, name: &str) -> Result<Arc<dyn PolicyConfig>, String> {
        let factory = self.factories.get(name).ok_or_else(|| format!("unknown LB policy \"{name}\""))?;
        factory
            .parse(&Value::Object(serde_json::Map::new()), self)
            .map_err(|_| format!("LB policy \"{name}\" requires a config. Please use loadBalancingConfig instead."))
    }

    /// The first policy of a `loadBalancingConfig` that is known, with its config.
    ///
    /// # Errors
    /// That none is known, which names them, or what is wrong with the config of the first that is.
    pub fn first_known(&self, list: &[Value]) -> Result<Arc<dyn PolicyConfig>, String> {
        let mut unknown = Vec::new();
        for item in list {
            let item = item.as_object().ok_or("child entry should be of type object")?;
            let mut policies = item.iter();
            let (Some((name, config)), None) = (policies.next(), policies.next()) else {
                return Err("oneOf violation".to_owned());
            };
            if !config.is_object() {
                return Err("child entry should be of type object".to_owned());
            }
            match self.factories.get(name) {
                Some(factory) => return factory.parse(config, self),
                None => unknown.push(name.as_str()),
            }
        }
        Err(format!("No known policies in list: {}", unknown.join(" ")))
    }
}
