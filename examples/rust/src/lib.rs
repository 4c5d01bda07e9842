//! Runnable examples of the Rust face: see `src/bin`. Here is what they share: the generated code, the first argument,
//! and the places of the route guide.

use std::{error::Error, io::Write};

/// Generated from `greeter.proto`.
pub mod helloworld {
    #![allow(missing_docs)]
    farcall::include_proto!("helloworld");
}

/// Generated from `route_guide.proto`.
pub mod routeguide {
    #![allow(missing_docs)]
    farcall::include_proto!("routeguide");
}

pub mod places;

/// The program's only argument, an address, or its default.
pub fn address(default: &str) -> String {
    std::env::args().nth(1).unwrap_or_else(|| default.to_owned())
}

/// Serves until Ctrl-C, having told the port.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(server: farcall::Server, address: String) -> Result<(), Box<dyn Error>> {
    let bound = server.bind(address).await?;
    println!("LISTENING {}", bound.local_addr().map_or(0, |address| address.port()));
    std::io::stdout().flush()?;
    bound
        .serve_with_shutdown(async {
            // Without a handler for it Ctrl-C ends the program by itself.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await;
    Ok(())
}
