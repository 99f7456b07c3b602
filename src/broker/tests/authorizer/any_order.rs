//! Answers in any order.

use super::*;

/// Clients publish numbers, the application answers in any order, late or never: what gets through is what
/// was allowed, in order.
#[test]
fn whatever_the_answers_do_order_is_kept_and_only_what_was_allowed_gets_through() {
    for seed in 0..200 {
        let mut entropy = SeededEntropy::new(seed);
        let mut stage = stage(AuthorizerConfig {
            permission_cache: if seed % 2 == 0 { Duration::ZERO } else { SECOND },
            asks_user: seed % 3 == 0,
            ..strict()
        });
        let tap = stage.broker.attach_internal();
        stage.subscribe(tap, "m.>", "tap");
        stage.take(tap);
        let peers: Vec<PeerId> = (0..3).map(|index| stage.visit(&format!("s{index}"))).collect();
        let mut open: Vec<AuthRequest> = Vec::new();
        let (mut sent, mut acks) = ([0_u64; 3], Vec::new());
        for _ in 0..150 {
            open.extend(
                stage
                    .auth_requests()
                    .into_iter()
                    .filter(|auth_request| !matches!(auth_request, AuthRequest::Disconnected(_))),
            );
            match entropy.below(10) {
                0..=4 => {
                    let who = entropy.below(3);
                    if !stage.broker.is_paused(peers[who]) {
                        sent[who] += 1;
                        let kind = ["yes", "no"][entropy.below(2)];
                        let subject = format!("m.{who}.{kind}.{}", entropy.below(3));
                        let publication = publication(&subject, "m", 0, true, &sent[who].to_string());
                        acks.push((
                            who,
                            stage.begin(peers[who], |ack| ClientOp::Publish { ack: Some(ack), publication }),
                        ));
                    }
                }
                5..=7 if !open.is_empty() => {
                    let auth_request = open.swap_remove(entropy.below(open.len()));
                    answer(&mut stage, auth_request);
                }
                8 => stage.pass(Duration::from_millis(entropy.below(300) as u64)),
                _ => drop(stage.broker.revalidate(stage.now, None)),
            }
        }
        loop {
            open.extend(
                stage
                    .auth_requests()
                    .into_iter()
                    .filter(|auth_request| !matches!(auth_request, AuthRequest::Disconnected(_))),
            );
            let Some(auth_request) = open.pop() else { break };
            answer(&mut stage, auth_request);
        }
        check(&mut stage, tap, &peers, &acks, seed);
        assert_eq!(stage.open_questions().1, 0, "seed {seed}");
    }
}

fn answer(stage: &mut Stage, auth_request: AuthRequest) {
    match auth_request {
        AuthRequest::Authenticate { request, .. } => stage.greet(request, "null"),
        AuthRequest::Authorize { request, action, subject, .. } => {
            stage.decide(request, action == Action::Publish && subject.contains("yes"));
        }
        AuthRequest::Disconnected(_) => {}
    }
}

fn check(stage: &mut Stage, tap: PeerId, peers: &[PeerId], acks: &[(usize, AckId)], seed: u64) {
    let mut last = [0_u64; 3];
    let ops = stage.take(tap);
    let mut heard = 0;
    for op in &ops {
        let ServerOp::Deliver { publication, .. } = op else { continue };
        let subject = publication.subject.as_str();
        assert!(subject.contains("yes"), "seed {seed}: {subject}");
        let who: usize = subject.split('.').nth(1).unwrap().parse().unwrap();
        let number: u64 = String::from_utf8_lossy(&publication.payload.raw).parse().unwrap();
        assert!(number > last[who], "seed {seed}: {number} after {}", last[who]);
        last[who] = number;
        heard += 1;
    }
    let mut allowed = 0;
    for (who, ack) in acks {
        match stage.answer(peers[*who], *ack) {
            Some(Reply::Published { .. }) => allowed += 1,
            Some(Reply::Error(error)) => assert_eq!(error.code, Some(403), "seed {seed}"),
            other => panic!("seed {seed}: every operation is answered, not {other:?}"),
        }
    }
    assert_eq!(heard, allowed, "seed {seed}");
}
