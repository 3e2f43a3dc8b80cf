using SecureMessaging.Server;

// The shared array pool keeps this many arrays per size and processor; the runtime reads the variable at the first rent and offers no other way to
// set it. With the default of 8, almost every 4 KiB block between the hub and the sockets of a busy room is a new allocation: collecting them took
// more than a third of the server's CPU time.
const string pooledArrays = "DOTNET_SYSTEM_BUFFERS_SHAREDARRAYPOOL_MAXARRAYSPERPARTITION";
if (Environment.GetEnvironmentVariable(pooledArrays) is null)
    Environment.SetEnvironmentVariable(pooledArrays, "8192");

return await ServerApp.RunAsync(args);
