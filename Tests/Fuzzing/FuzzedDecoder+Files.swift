import Filesystem
import Formats
import FoundationEssentials
import ProcessInspection
import TwelveFSCommand
import UploadCore

// Files that processes leave for each other, what is read of `.status`, the kernel's texts, and options.

extension FuzzedDecoder {
    static let files = [stateFiles, documents, kernelTexts, options, accessControlLists]

    private static let stateFiles = FuzzedDecoder(
        "state-files",
        [
            #"{"mountPoint":"/mnt/a","pid":4242,"pidNamespace":4026531836,"startTime":12345,"version":"0.1.0"}"#,
            #"{"outcome":{"resumable":1,"undecided":["a.mp4: it is not known"],"unfinished":0},"pid":4242,"startTime":1}"#,
            #"{"unmount":{"isForced":true,"timeout":[0,1500000000000000000]}}"#, #"{"handOver":{}}"#,
            #"{"waiting":{"users":["a.mp4 (cp, pid 7)"]}}"#, #"{"ended":{"_0":{"resumable":0,"unfinished":0}}}"#,
            #"{"configuration":{"spoolLimit":1073741824,"stallTimeout":[0,1]},"secret":"tlk_0123456789","keyLocation":"x"}"#,
        ]
    ) { input in
        if let record = try? StateFile.decoded(ServerRecord.self, from: input) { _ = (record.words, record.isRunning) }
        if let stop = try? StateFile.decoded(StopRecord.self, from: input) { _ = stop.outcome.isClean }
        if let answer = try? StateFile.decoded(ServerAnswer.self, from: input) { _ = "\(answer)" }
        _ = try? StateFile.decoded(Handover.self, from: input).access()
        guard case .unmount(let timeout?, let isForced)? = try? StateFile.decoded(ServerOrder.self, from: input) else {
            return
        }
        let agenda = DrainAgenda()
        agenda.add(DrainOrder(timeout: timeout, isForced: isForced))
        _ = agenda.step(users: [], isIdle: false)
        _ = agenda.pause(atMost: .seconds(1))
    }

    private static let documents = FuzzedDecoder(
        "status-documents",
        [
            #"{"schema":1,"upload_id":"u","filename":"a.mp4","path":"/a.mp4","state":"open","error":{"code":"x","#
                + #""message":"m","hint":"h"},"total_size":100,"bytes_written":50,"bytes_uploaded":25,"#
                + #""bytes_per_second":10,"eta_seconds":7,"created_at":"2026-01-01T00:00:00Z","waiting_for":"rate-limit","#
                + #""retry_at":"2026-01-01T00:10:00Z","asset_status":"ready","asset_error":"size_differs: x"}"#,
            #"{"counts":{"open":1,"completed":2},"bytes_per_second":10,"spool_used":5,"spool_limit":10,"uploads":[{"id":"u"}]}"#,
        ]
    ) { input in
        let decoder = JSONDecoder()
        let document = try? decoder.decode(UploadDocument.self, from: Data(input))
        let summary = try? decoder.decode(SummaryFile.self, from: Data(input))
        guard let nothing = try? decoder.decode(SummaryFile.self, from: Data("{}".utf8)) else { return }
        guard document != nil || summary != nil else { return }
        let status = MountStatus(
            mountPoint: "/mnt", summary: summary ?? nothing, uploads: document.map { [$0, $0] } ?? [],
            summaryText: "", uploadTexts: [])
        for width in [nil, 20, 80, 200] {
            _ = StatusTable(width: width, bar: ProgressBar(isUnicode: width == 80), height: width).lines(for: status)
        }
        _ = DrainProgress.line(status)
        if let document {
            _ = StatusWatch.line("/mnt", document)
            _ = WaitVerdict(on: document, untilReady: true)
        }
    }

    private static let kernelTexts = FuzzedDecoder(
        "kernel-texts",
        [
            "36 35 98:0 /mnt1 /mnt2\\040x rw,noatime master:1 - fuse.twelvefs /var/lib\\011x rw,user_id=0\n",
            "4242 (a b) c) S 1 4242 4242 0 -1 4194564 100 0 0 0 1 1 0 0 20 0 1 0 12345 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 "
                + "1 1 1 1 1 1 1 1 1 1 1 256\n",
            "pos:\t1048576\nflags:\t0100002\nmnt_id:\t29\nino:\t17\n",
            "Name:\tcp\nTgid:\t4242\nPPid:\t1\nFDSize:\t64\nVmExe:\t     132 kB\nSigPnd:\t0000000000000000\n"
                + "ShdPnd:\t0000000000000002\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000002\n",
        ]
    ) { input in
        for entry in MountTable(parsing: input).entries { _ = (entry.identity, entry.isFuse, entry.answersAtOnce) }
        if let stat = ProcessStat(parsing: input) {
            _ = (stat.isExiting, stat.exitCode.map { ProcessEnd(code: $0) })
        }
        if let descriptor = DescriptorInfo(parsing: input) { _ = (descriptor.canWrite, descriptor.isReadOnly) }
        if let signals = PendingSignals(parsing: input) { _ = signals.endingTheWait }
    }

    private static let options = FuzzedDecoder(
        "mount-options",
        [
            "ro,noexec,_netdev,x-systemd.automount,api_key_file=/etc/key,metadata=a=b\\,c,spool_limit=1GiB,rw,exec",
            "-o\0allow_other,uid=5\0-oro\0--\0-o",
        ]
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        _ = try? MountOptionList.arguments(for: text)
        _ = try? MountOptionList.expanding(
            text.split(separator: "\0", omittingEmptySubsequences: false).map(String.init))
        _ = TerminalText.cutInTheMiddle(TerminalText.sanitised(text), to: 20)
    }

    private static let accessControlLists = FuzzedDecoder(
        "access-control-lists",
        samples: [
            [
                2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 4, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255,
                255,
            ]
        ]
    ) { input in
        if let list = AccessControlList(input) {
            precondition(list.permissions <= 0o777, "a mode has more bits than there are")
        }
        _ = StatusNames.entry(named: input)
        _ = StatusNames.linkName(input)
    }
}
