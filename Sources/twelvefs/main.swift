import TwelveFSCommand

TwelveFS.main()
