//! Tells the source which interpreter it is built for: with a global lock, or without.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
