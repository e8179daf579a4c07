import ArgumentParser
import Testing
import TwelveFSCommand

@Suite struct MountOptionListTests {
    @Test(arguments: [
        ("ro", ["--read-only"]),
        ("rw", []),
        ("ro,rw", []),
        ("rw,ro", ["--read-only"]),
        ("defaults", []),
        ("_netdev,nofail,noauto,user,x-systemd.automount,x-systemd.requires=a.service,X-mount.mkdir,comment=home", []),
        ("rw,noexec,nosuid,nodev,user=ada", ["--mount-flag=noexec"]),
        ("noexec,exec,noatime,dirsync", ["--mount-flag=noatime", "--mount-flag=dirsync"]),
        ("allow_other,uid=5,gid=6", ["--allow-other", "--uid=5", "--gid=6"]),
        ("allow-other", ["--allow-other"]),
        ("api_key_file=/etc/key,state-dir=/var/s", ["--api-key-file=/etc/key", "--state-dir=/var/s"]),
        ("proxy=http://p:1,proxy_file=/etc/p", ["--proxy=http://p:1", "--proxy-file=/etc/p"]),
        ("metadata=a=b\\,c,debug", ["--metadata=a=b,c", "--debug"]),
        ("log_file=/a\\b\\\\c", ["--log-file=/a\\b\\c"]),
        (",,", []),
        ("uid=", ["--uid="]),
    ])
    func listsBecomeLongOptions(_ list: String, _ arguments: [String]) throws {
        #expect(try MountOptionList.arguments(for: list) == arguments)
    }

    @Test(arguments: [
        "bogus", "suid", "dev", "uid", "debug=1", "foreground", "ro=1", "remount", "api-key=x", "fsname=x",
        "mount-flag=suid",
    ])
    func unknownOnesAreRefusedByName(_ option: String) {
        let error = #expect(throws: ValidationError.self) { try MountOptionList.arguments(for: "noatime,\(option)") }
        #expect(error?.message.contains(String(option.prefix { $0 != "=" })) == true)
    }

    @Test func listsStandWhereTheOptionStood() throws {
        #expect(
            try MountOptionList.expanding(["mount", "/mnt", "-o", "ro", "-ouid=1", "-d", "-o", "rw", "--", "-o", "x"])
                == ["mount", "/mnt", "--read-only", "--uid=1", "-d", "--", "-o", "x"])
    }

    @Test func missingListIsRefused() {
        #expect(throws: ValidationError.self) { try MountOptionList.expanding(["mount", "/mnt", "-o"]) }
    }

    @Test func laterOptionsWinOverEarlierOnes() throws {
        let command = try #require(
            try TwelveFS.command(for: ["mount", "/mnt", "-o", "uid=1,gid=1", "--uid", "2"]) as? MountCommand)
        let mount = try command.mountConfiguration(environment: ["HOME": "/h"])
        #expect(mount.uid == 2 && mount.gid == 1)
    }

    @Test func mountFlagsReachTheConfiguration() throws {
        let command = try #require(
            try TwelveFS.command(for: ["mount", "/mnt", "-o", "noexec,noatime"]) as? MountCommand)
        #expect(try command.mountConfiguration(environment: ["HOME": "/h"]).mountFlags == ["noexec", "noatime"])
    }

    @Test func otherCommandsKeepTheirArguments() throws {
        #expect(throws: (any Error).self) { try TwelveFS.command(for: ["status", "-o", "ro"]) }
    }

    @Test func mountProgramIsUnderstood() throws {
        let mount = try MountHelper.arguments(
            program: "/sbin/mount.twelvefs", ["none", "/mnt/a", "-v", "-n", "-t", "twelvefs", "-o", "rw,_netdev,uid=3"])
        let arguments = try #require(mount)
        #expect(arguments == ["mount", "-o", "rw,_netdev,uid=3", "--", "/mnt/a"])
        let command = try #require(try TwelveFS.command(for: arguments) as? MountCommand)
        #expect(try command.mountConfiguration(environment: ["HOME": "/h"]).uid == 3)
        #expect(try MountHelper.arguments(program: "/usr/bin/twelvefs", ["none", "/mnt/a"]) == nil)
        for wrong in [
            ["none"], ["/dev/sda1", "/mnt"], ["none", "/mnt", "-x"], ["none", "/mnt", "-o"], ["none", "/a", "/b"],
        ] {
            #expect(throws: ValidationError.self) { try MountHelper.arguments(program: "mount.twelvefs", wrong) }
        }
    }
}
