//! Interpreted options have moved; so do their positions.

use crate::positions::Positions;
use crate::tag;

use super::Moves;

/// Gives each option's position its new path and drops the positions inside it.
pub(super) fn move_options(positions: &mut Positions, moves: &Moves) {
    positions.move_all(|path| match path {
        [.., tag::options::UNINTERPRETED, _] => moves.get(path).map(Vec::as_slice),
        _ => None,
    });
}
