import Foundation
import Logging
import PlatformClient
import SandboxPlatform
import Synchronization
import Testing
import TwelveFSCommand

import class TestSupport.QuietPort

/// What is asked of the platform before a mount is, and what its answers lead to.
@Suite(.timeLimit(.minutes(1))) struct PlatformProbeTests {
    private final class Lines: LogSink {
        private let lines = Mutex<[String]>([])
        func write(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    /// What a mount is refused with, if it is; and what the log and the platform's journal say.
    private func probe(
        resuming: Bool = false, proxies: ProxyRules = .none, _ faults: [InjectedFault]
    ) async throws -> (refusal: CommandFailure?, log: [String], kinds: [RequestKind]) {
        let lines = Lines()
        let logger = Logger(label: "test") { _ in LineLogHandler(sink: lines, level: .info) }
        let settings = SandboxConfiguration()
        let sandbox = try await Sandbox.start(settings)
        for fault in faults { sandbox.add(fault) }
        let command = try #require(
            try TwelveFS.command(for: ["mount", "/mnt/a", "--api-url", sandbox.baseURL]) as? MountCommand)
        let configuration = try command.mountConfiguration(environment: ["HOME": "/h"])
        let access = PlatformAccess(
            key: try APIKey(settings.apiKey), keyLocation: "$TWELVE_LABS_API_KEY", proxies: proxies)
        var refusal: CommandFailure?
        do {
            try await PlatformProbe.run(configuration, access: access, hasUploadsToResume: resuming, logger: logger)
        } catch {
            refusal = CommandFailure(wrapping: error)
        }
        let kinds = sandbox.journal().map(\.kind)
        await sandbox.stop()
        return (refusal, lines.all, kinds)
    }

    private func refused(_ kind: RequestKind, _ answer: InjectedFault.Answer) -> InjectedFault {
        InjectedFault(on: [kind], answer)
    }

    @Test func aGoodAnswerIsEnough() async throws {
        let outcome = try await probe([])
        #expect(outcome.refusal == nil)
        #expect(outcome.log.isEmpty)
        #expect(outcome.kinds == [.list])
    }

    @Test func aRefusalWithoutAReasonIsNoneOfTheKeyWhenTheKeyIsAccepted() async throws {
        for answer in [InjectedFault.Answer.status(403, body: "<html>"), .refusal("list_not_allowed")] {
            let outcome = try await probe([refused(.list, answer)])
            #expect(outcome.refusal == nil, "\(outcome.refusal?.description ?? "")")
            #expect(outcome.kinds == [.list, .assets])
            #expect(outcome.log.count == 1 && outcome.log.allSatisfy { $0.contains("going on") })
        }
    }

    @Test func theSecondCallMayTellThatTheKeyIsToBlame() async throws {
        let faults = [refused(.list, .status(403, body: "<html>")), refused(.assets, .refusal("api_key_invalid"))]
        for resuming in [false, true] {
            let outcome = try await probe(resuming: resuming, faults)
            #expect(outcome.refusal?.message.hasPrefix("the platform refuses the API key") == true)
            #expect(outcome.refusal?.hint?.contains("$TWELVE_LABS_API_KEY") == true)
        }
    }

    @Test func whatNobodyExplainsRefusesTheMountUnlessThereIsSomethingToResume() async throws {
        let faults = [refused(.list, .status(403, body: "")), refused(.assets, .status(403, body: "<html>"))]
        let fresh = try await probe(faults)
        #expect(fresh.refusal?.message.hasPrefix("the platform refuses the account") == true)
        #expect(try await probe(resuming: true, faults).refusal == nil)
    }

    @Test func aPlanThatDoesNotAllowItSaysWhatToDo() async throws {
        let outcome = try await probe([refused(.list, .refusal("api_allowed_for_paid_plan"))])
        #expect(outcome.refusal?.message.hasPrefix("the platform refuses the account") == true)
        #expect(outcome.refusal?.hint?.contains("plan") == true)
        #expect(outcome.refusal?.hint?.contains("retry") == false, "nothing is there to be tried again")
        #expect(outcome.kinds == [.list], "the code has told it")
    }

    @Test func aProxyThatIsNotThereIsNamed() async throws {
        let quiet = try QuietPort()
        defer { withExtendedLifetime(quiet) {} }
        let proxy = try ProxyServer(parsing: "http://user:pr0xy@127.0.0.1:\(quiet.number)")
        let outcome = try await probe(proxies: ProxyRules(server: proxy, coversLoopback: true), [])
        let line = try #require(outcome.refusal?.description)
        #expect(line.contains("the proxy 127.0.0.1:\(quiet.number)") && line.contains("--proxy"))
        #expect(!line.contains("pr0xy"))
        #expect(outcome.kinds.isEmpty)
    }
}
