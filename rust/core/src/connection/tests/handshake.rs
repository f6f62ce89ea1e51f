use super::server::Mood;
use super::*;
use crate::error::ErrorKind;

fn full_config() -> Config {
    Config {
        username: Some("reader".to_owned()),
        password: Some("secret".to_owned()),
        client_name: Some("api-1".to_owned()),
        library_version: "1.2.3".to_owned(),
        database: 5,
        ..Config::default()
    }
}

fn connect(config: Config, mood: Mood) -> Pair {
    let mut pair = Pair::new(config, Server::with(mood));
    pair.connection.handle_connected(pair.now);
    pair.exchange();
    pair
}

fn failure(pair: &mut Pair) -> HandshakeError {
    assert_eq!(pair.connection.state(), State::Closed);
    match pair.connection.poll_event() {
        Some(Event::HandshakeFailed(error)) => error,
        event => panic!("{event:?}"),
    }
}

#[test]
fn resp3_takes_one_round_trip() {
    let mut pair = Pair::new(full_config(), Server::default());
    pair.server.mood.password = Some("secret");
    assert!(
        pair.connection.poll_output().is_none(),
        "nothing before the socket is connected"
    );
    pair.connection.handle_connected(pair.now);
    pair.flush();
    assert_eq!(
        pair.server.commands,
        [
            "HELLO 3 AUTH reader secret SETNAME api-1",
            "SELECT 5",
            "CLIENT SETINFO LIB-NAME fscore",
            "CLIENT SETINFO LIB-VER 1.2.3",
        ]
    );
    let answer = pair.server.take_output();
    pair.connection.handle_data(&answer, pair.now).unwrap();
    assert!(matches!(pair.connection.poll_event(), Some(Event::Ready)));
    let server = pair.connection.server();
    assert_eq!((server.protocol, server.id), (3, Some(9)));
    assert_eq!(
        (server.server.as_str(), server.version.as_str()),
        ("redis", "7.0.15")
    );
    assert_eq!(
        (server.mode.as_str(), server.role.as_str()),
        ("standalone", "master")
    );
}

#[test]
fn falls_back_if_hello_is_unknown() {
    for hello in [
        "ERR unknown command 'HELLO'",
        "NOPROTO unsupported protocol version",
        "NOPERM hello",
    ] {
        let mood = Mood {
            hello: Some(hello),
            password: Some("secret"),
            ..Mood::default()
        };
        let mut pair = connect(full_config(), mood);
        assert!(
            matches!(pair.connection.poll_event(), Some(Event::Ready)),
            "{hello}"
        );
        assert_eq!(pair.connection.server().protocol, 2);
        assert_eq!(
            pair.server.commands[4..],
            [
                "AUTH reader secret",
                "CLIENT SETNAME api-1",
                "SELECT 5",
                "CLIENT SETINFO LIB-NAME fscore",
                "CLIENT SETINFO LIB-VER 1.2.3",
            ]
        );
    }
}

#[test]
fn resp2_where_it_is_asked_for() {
    let config = Config {
        prefer_resp3: false,
        username: None,
        ..full_config()
    };
    let mood = Mood {
        password: Some("secret"),
        ..Mood::default()
    };
    let mut pair = connect(config, mood);
    assert!(matches!(pair.connection.poll_event(), Some(Event::Ready)));
    assert_eq!(pair.server.commands[0], "AUTH secret");
    assert_eq!(pair.connection.server().protocol, 2);
}

#[test]
fn refusals() {
    let open = Config::default();
    let hello = |hello| Mood {
        hello: Some(hello),
        ..Mood::default()
    };
    let password = || Mood {
        password: Some("other"),
        ..Mood::default()
    };
    let old = Mood {
        hello: Some("ERR unknown command 'HELLO'"),
        ..password()
    };
    let resp2 = Config {
        prefer_resp3: false,
        ..Config::default()
    };
    let select = Mood {
        select: Some("ERR DB index is out of range"),
        ..Mood::default()
    };
    let wrong = ErrorKind::AuthenticationFailed;
    let table = [
        (full_config(), password(), wrong),
        (open.clone(), password(), wrong),
        (full_config(), old.clone(), wrong),
        (open.clone(), old, wrong),
        (resp2.clone(), password(), wrong),
        // A password for a server that has none is a mistake in the set-up, too.
        (
            Config {
                prefer_resp3: false,
                ..full_config()
            },
            Mood::default(),
            wrong,
        ),
        (
            open.clone(),
            hello("LOADING Redis is loading the dataset in memory"),
            ErrorKind::Unavailable,
        ),
        (
            open.clone(),
            hello("ERR max number of clients reached"),
            ErrorKind::Unavailable,
        ),
        (
            open.clone(),
            hello("DENIED Redis is running in protected mode"),
            ErrorKind::ConfigError,
        ),
        (
            open.clone(),
            hello("ERR Syntax error in HELLO"),
            ErrorKind::ConfigError,
        ),
        (
            Config {
                database: 99,
                ..open
            },
            select,
            ErrorKind::ConfigError,
        ),
    ];
    for (config, mood, kind) in table {
        let mut pair = connect(config, mood.clone());
        let error = failure(&mut pair);
        assert_eq!(error.kind, kind, "{mood:?} {error}");
        assert!(!error.message.contains("secret"), "{error}");
    }
}

#[test]
fn setinfo_is_best_effort() {
    for setinfo in [
        "ERR unknown subcommand 'SETINFO'",
        "NOPERM no permissions to run client|setinfo",
    ] {
        let mood = Mood {
            setinfo: Some(setinfo),
            ..Mood::default()
        };
        let mut pair = connect(Config::default(), mood);
        assert!(matches!(pair.connection.poll_event(), Some(Event::Ready)));
    }
}

#[test]
fn jobs_wait_for_it_and_leave_in_one_send() {
    let mut pair = Pair::new(Config::default(), Server::default());
    pair.submit("a", 1, SECOND);
    pair.connection.handle_connected(pair.now);
    pair.submit("b", 2, SECOND);
    pair.flush();
    assert_eq!(
        pair.server.commands.len(),
        3,
        "only the handshake's commands"
    );
    let answer = pair.server.take_output();
    pair.connection.handle_data(&answer, pair.now).unwrap();
    assert!(matches!(pair.connection.poll_event(), Some(Event::Ready)));
    let output = pair.connection.poll_output().unwrap();
    assert!(pair.connection.poll_output().is_none());
    pair.server.receive(&output);
    assert_eq!(
        pair.server.commands[3..],
        ["ECHO a 0", "ECHO b 0", "ECHO b 1"]
    );
    pair.exchange();
    assert_eq!(pair.done(), ["a", "b"]);
}

#[test]
fn its_failure_loses_the_jobs_unsent() {
    let mut pair = Pair::new(full_config(), Server::default());
    pair.server.mood.password = Some("other");
    pair.submit("a", 1, SECOND);
    pair.connection.handle_connected(pair.now);
    pair.exchange();
    let error = failure(&mut pair);
    assert_eq!(error.kind, ErrorKind::AuthenticationFailed);
    let events = pair.events();
    let [
        Event::Lost {
            sent: false,
            answered: 0,
            reason,
            ..
        },
    ] = events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        reason,
        LostReason::Handshake(ErrorKind::AuthenticationFailed)
    );
    assert!(
        !pair
            .server
            .commands
            .iter()
            .any(|command| command == "ECHO a 0")
    );
}

#[test]
fn it_has_a_deadline() {
    for connected in [false, true] {
        let mut pair = Pair::new(Config::default(), Server::default());
        if connected {
            pair.connection.handle_connected(pair.now);
        }
        let timeout = Config::default().connect_timeout;
        assert_eq!(pair.connection.next_deadline(), Some(pair.now + timeout));
        pair.submit("a", 1, SECOND / 2);
        assert_eq!(pair.connection.next_deadline(), Some(pair.now + SECOND / 2));
        pair.wait(SECOND);
        let events = pair.events();
        assert!(
            matches!(events[..], [Event::TimedOut { sent: false, .. }]),
            "{events:?}"
        );
        pair.wait(timeout);
        assert_eq!(failure(&mut pair).kind, ErrorKind::Unavailable);
        assert_eq!(pair.connection.next_deadline(), None);
    }
}

#[test]
fn its_end_is_a_failure() {
    let mut pair = Pair::new(Config::default(), Server::default());
    pair.connection.handle_connected(pair.now);
    pair.connection.handle_closed(pair.now);
    assert_eq!(failure(&mut pair).kind, ErrorKind::Unavailable);
}

#[test]
fn something_else_answers() {
    let mut pair = Pair::new(Config::default(), Server::default());
    pair.connection.handle_connected(pair.now);
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    assert!(pair.connection.handle_data(answer, pair.now).is_err());
    assert_eq!(failure(&mut pair).kind, ErrorKind::ProtocolError);
}

#[test]
fn a_configuration_does_not_show_its_password() {
    let shown = format!("{:?}", full_config());
    assert!(
        shown.contains("reader") && !shown.contains("secret"),
        "{shown}"
    );
}
