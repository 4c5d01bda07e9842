use crate::Connectivity;

/// How many children are in which state.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct States {
    /// IDLE.
    pub idle: usize,
    /// CONNECTING.
    pub connecting: usize,
    /// READY.
    pub ready: usize,
    /// TRANSIENT_FAILURE.
    pub failing: usize,
}

impl States {
    /// Counts one more in this state.
    pub fn add(&mut self, state: Connectivity) {
        if let Some(count) = self.of(state) {
            *count += 1;
        }
    }

    /// Counts one less in this state.
    pub fn remove(&mut self, state: Connectivity) {
        if let Some(count) = self.of(state) {
            *count = count.saturating_sub(1);
        }
    }

    fn of(&mut self, state: Connectivity) -> Option<&mut usize> {
        match state {
            Connectivity::Idle => Some(&mut self.idle),
            Connectivity::Connecting => Some(&mut self.connecting),
            Connectivity::Ready => Some(&mut self.ready),
            Connectivity::TransientFailure => Some(&mut self.failing),
            Connectivity::Shutdown => None,
        }
    }
}

/// The state of many children together: READY if one is, else CONNECTING if one is, else IDLE if one is, and
/// TRANSIENT_FAILURE when all fail, or when there are none.
pub fn aggregate(states: &States) -> Connectivity {
    match states {
        States { ready: 1.., .. } => Connectivity::Ready,
        States { connecting: 1.., .. } => Connectivity::Connecting,
        States { idle: 1.., .. } => Connectivity::Idle,
        _ => Connectivity::TransientFailure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [Connectivity; 4] =
        [Connectivity::Idle, Connectivity::Connecting, Connectivity::Ready, Connectivity::TransientFailure];

    #[test]
    fn every_tuple_of_four_states() {
        for index in 0..256 {
            let tuple: Vec<Connectivity> = (0..4).map(|place| STATES[(index >> (2 * place)) & 3]).collect();
            let mut states = States::default();
            tuple.iter().for_each(|state| states.add(*state));
            let first = |wanted: &[Connectivity]| wanted.iter().copied().find(|state| tuple.contains(state));
            let expected = first(&[Connectivity::Ready, Connectivity::Connecting, Connectivity::Idle])
                .unwrap_or(Connectivity::TransientFailure);
            assert_eq!(aggregate(&states), expected, "{tuple:?}");
            tuple.iter().for_each(|state| states.remove(*state));
            assert_eq!(states, States::default());
        }
        assert_eq!(aggregate(&States::default()), Connectivity::TransientFailure);
    }
}
