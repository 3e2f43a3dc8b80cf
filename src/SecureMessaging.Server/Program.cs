using SecureMessaging.Server;

// Arrays that the runtime's shared pool keeps for each size and processor; read when the first is rented, and from nowhere else. With its default of 8 nearly every
// block of 4 KiB between the hub and the sockets of a busy room was allocated anew, and collecting them cost more than a third of the server's work.
const string PooledArrays = "DOTNET_SYSTEM_BUFFERS_SHAREDARRAYPOOL_MAXARRAYSPERPARTITION";
if (Environment.GetEnvironmentVariable(PooledArrays) is null)
    Environment.SetEnvironmentVariable(PooledArrays, "8192");

return await ServerApp.RunAsync(args);
