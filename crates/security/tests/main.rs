//! How sessions behave: two of them, face to face, over wires that chop, stop and lie.

mod certificates;
mod floods;
mod handshakes;
mod identities;
mod records;
mod script;
mod world;
