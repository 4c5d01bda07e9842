//! Every example, run as a user runs it: a server, then its client, and what the client prints.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// A server program on a free port, ended with the test.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(program: &str) -> Server {
        let mut process =
            Command::new(program).arg("localhost:0").stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut first_line = String::new();
        let output = process.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut first_line).expect("it prints text");
        let port = first_line.trim().strip_prefix("LISTENING ").expect("it tells its port first").to_owned();
        Server { process, address: format!("localhost:{port}") }
    }

    /// What a client program prints.
    fn ask(&self, client: &str) -> String {
        let output = Command::new(client).arg(&self.address).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it prints text")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn greeter() {
    let server = Server::start(env!("CARGO_BIN_EXE_greeter-server"));
    let expected = "Greeter client received: Hello, you!\nGreeter client received: Hello again, you!\n";
    assert_eq!(server.ask(env!("CARGO_BIN_EXE_greeter-client")), expected);
}

#[test]
fn route_guide() {
    let server = Server::start(env!("CARGO_BIN_EXE_route-guide-server"));
    let expected = "\
-------------- GetFeature --------------
Vesterport lighthouse at 571210000, 81930000
nothing known at 0, 0
-------------- ListFeatures --------------
Heather hill at 571455000, 82407500
Mill pond bridge at 571460000, 83020000
Church of the two towers at 571498700, 83310400
Market square at 571502300, 83342200
Ropewalk museum at 571533000, 83602000
Railway station at 571580500, 83790500
-------------- RecordRoute --------------
passed 12 points, 10 of them known
walked 19360 metres in 0 seconds
-------------- RouteChat --------------
say first at 0, 0
say second at 0, 1
say third at 1, 0
say fourth at 0, 0
say fifth at 0, 0
hear first at 0, 0
hear first at 0, 0
hear fourth at 0, 0
";
    assert_eq!(server.ask(env!("CARGO_BIN_EXE_route-guide-client")), expected);
}

#[test]
fn tour() {
    let server = Server::start(env!("CARGO_BIN_EXE_tour-server"));
    let expected = "\
-------------- metadata --------------
Hello, you!
before the answer: seen-by = tour_server
after the answer: answered-to = tour_client
after the answer: digest-bin = \\xff\\x02\\x01\\x00
-------------- error status --------------
NOT_FOUND: there is nobody of that name
reason: no name
-------------- deadline --------------
DEADLINE_EXCEEDED: Deadline Exceeded
-------------- cancellation --------------
cancelled by dropping the call
";
    assert_eq!(server.ask(env!("CARGO_BIN_EXE_tour-client")), expected);
}

#[test]
fn discovery() {
    let output = Command::new(env!("CARGO_BIN_EXE_discovery")).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = "in turn to a, b, c\nin turn to a, b\nanswered after 1 failed attempt\n";
    assert_eq!(String::from_utf8(output.stdout).expect("it prints text"), expected);
}
