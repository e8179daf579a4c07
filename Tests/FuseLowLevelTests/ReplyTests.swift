import FuseLowLevel
import Glibc
import Synchronization
import Testing

/// Answers: exactly once, late, from elsewhere, interrupted, or to nobody.
@Suite(.serialized) struct ReplyTests {
    @Test func answersEIOWhenAReplyIsDropped() throws {
        try withMount(hooks: .init(getattr: { _, reply in _ = consume reply })) { mounted in
            try check(mkdir(mounted.path("d"), 0o755))
            #expect(throws: SystemCallError(EIO)) { try fileStatus(mounted.path("d")) }
        }
    }

    @Test func answersEIOWhenADeferredReplyIsDropped() throws {
        try withMount(
            hooks: .init(flush: { reply in
                let deferred = reply.deferred()
                deferred.onInterrupt { [weak deferred] in deferred?.fail(.interrupted) }
            })
        ) { mounted in
            let descriptor = try check(open(mounted.path("file"), O_CREAT | O_WRONLY, 0o644))
            #expect(throws: SystemCallError(EIO)) { try check(close(descriptor)) }
        }
    }

    @Test func passesTheError() throws {
        try withMount(hooks: .init(flush: { $0.fail(.diskQuotaExceeded) })) { mounted in
            let descriptor = try check(open(mounted.path("file"), O_CREAT | O_WRONLY, 0o644))
            #expect(throws: SystemCallError(EDQUOT)) { try check(close(descriptor)) }
        }
    }

    @Test(arguments: [-5, 1000, .max] as [Int32])
    func makesAnErrorOfANumberThatIsNone(_ number: Int32) throws {
        try withMount(hooks: .init(flush: { $0.fail(FuseErrno(rawValue: number)) })) { mounted in
            let descriptor = try check(open(mounted.path("file"), O_CREAT | O_WRONLY, 0o644))
            #expect(throws: SystemCallError(EIO)) { try check(close(descriptor)) }
        }
    }

    @Test func answersACloseLaterFromAnotherThread() throws {
        let held = Monitor<DeferredReply<Void>?>(nil)
        try withMount(
            hooks: .init(flush: { reply in
                let deferred = reply.deferred()
                held.update { $0 = deferred }
            })
        ) { mounted in
            let child = try ChildProcess(closing: mounted.path("file"))
            let reply = try #require(held.wait(atMost: patience) { $0.take() })
            // The close waits, and nothing else does.
            try writeDirectly(mounted.path("other"))
            #expect(!reply.isAnswered)
            #expect(reply.succeed())
            #expect(reply.isAnswered)
            #expect(!reply.fail(.ioError))
            #expect(!reply.succeed())
            #expect(child.exitCode() == 0)
        }
    }

    /// Creates a file without closing it by FLUSH: `mkdir` needs no close.
    private func writeDirectly(_ path: String) throws {
        try check(mkdir(path, 0o755))
        #expect(try fileStatus(path).st_mode & S_IFMT == S_IFDIR)
    }

    @Test func onlyTheFirstOfManyAnswersCounts() throws {
        let held = Monitor<DeferredReply<Void>?>(nil)
        try withMount(
            hooks: .init(flush: { reply in
                let deferred = reply.deferred()
                held.update { $0 = deferred }
            })
        ) { mounted in
            for round in 0..<50 {
                let child = try ChildProcess(closing: mounted.path("file\(round)"))
                let reply = try #require(held.wait(atMost: patience) { $0.take() })
                let wins = Monitor((answers: 0, wins: 0))
                for _ in 0..<4 {
                    let thread = try NativeThread(name: "answer") {
                        let isFirst = reply.succeed()
                        wins.update { ($0.answers, $0.wins) = ($0.answers + 1, $0.wins + (isFirst ? 1 : 0)) }
                    }
                    thread.detach()
                }
                #expect(wins.wait(atMost: patience) { $0.answers == 4 ? $0.wins : nil } == 1)
                #expect(child.exitCode() == 0)
            }
        }
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGKILL])
    func tellsOfAWriterThatIsKilledWhileItCloses(_ signal: Int32) throws {
        let held = Monitor<DeferredReply<Void>?>(nil)
        try withMount(
            hooks: .init(flush: { reply in
                let deferred = reply.deferred()
                deferred.onInterrupt { [weak deferred] in deferred?.fail(.interrupted) }
                held.update { $0 = deferred }
            })
        ) { mounted in
            let child = try ChildProcess(closing: mounted.path("file"))
            let reply = try #require(held.wait(atMost: patience) { $0 })
            child.kill(signal)
            let status = try #require(child.waitUntilExit())
            #expect(status & 0x7f == signal)
            #expect(reply.isAnswered)
        }
    }

    @Test func tellsOfAnInterruptThatCameBeforeAnybodyAsked() throws {
        let held = Monitor<DeferredReply<Void>?>(nil)
        let hooks = MemoryFilesystem.Hooks(flush: { reply in
            let deferred = reply.deferred()
            held.update { $0 = deferred }
        })
        try withMount(hooks: hooks) { mounted in
            let child = try ChildProcess(closing: mounted.path("file"))
            let reply = try #require(held.wait(atMost: patience) { $0.take() })
            child.kill(SIGKILL)
            // Each is a round trip; the INTERRUPT overtakes them as soon as the signal is delivered.
            for _ in 0..<1_000_000 where !reply.isInterrupted {
                _ = try fileStatus(mounted.path)
            }
            #expect(reply.isInterrupted)
            reply.onInterrupt { [weak reply] in reply?.fail(.interrupted) }
            #expect(try #require(child.waitUntilExit()) & 0x7f == SIGKILL)
        }
    }

    @Test func goesOnWaitingWhenTheSignalIsNone() throws {
        let held = Monitor<DeferredReply<Void>?>(nil)
        let interrupts = Monitor(0)
        try withMount(
            hooks: .init(flush: { reply in
                let deferred = reply.deferred()
                deferred.onInterrupt { interrupts.update { $0 += 1 } }
                held.update { $0 = deferred }
            })
        ) { mounted in
            let child = try ChildProcess(
                shell: """
                    exec python3 -c 'import os, signal; signal.signal(signal.SIGWINCH, lambda *_: None)
                    f = os.open("\(mounted.path("file"))", os.O_CREAT | os.O_WRONLY); os.close(f)'
                    """)
            let reply = try #require(held.wait(atMost: patience) { $0.take() })
            child.kill(SIGWINCH)
            #expect(interrupts.wait(atMost: patience) { $0 > 0 ? $0 : nil } == 1)
            #expect(reply.succeed())
            #expect(child.exitCode() == 0)
            #expect(interrupts.read { $0 } == 1)
        }
    }

    @Test func survivesAnswersAndInterruptsAtTheSameTime() throws {
        let held = Monitor<[DeferredReply<Void>]>([])
        try withMount(
            hooks: .init(flush: { reply in
                let deferred = reply.deferred()
                deferred.onInterrupt { [weak deferred] in deferred?.fail(.interrupted) }
                held.update { $0.append(deferred) }
            })
        ) { mounted in
            for round in 0..<40 {
                let child = try ChildProcess(closing: mounted.path("file\(round)"))
                let reply = try #require(held.wait(atMost: patience) { $0.popLast() })
                let answering = try NativeThread(name: "answer") { reply.succeed() }
                child.kill(SIGKILL)
                reply.onInterrupt { [weak reply] in reply?.fail(.interrupted) }
                answering.join()
                #expect(child.waitUntilExit() != nil)
                held.update { $0 = [] }
            }
            try check(mkdir(mounted.path("alive"), 0o755))
        }
    }
}
