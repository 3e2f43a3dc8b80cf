using SecureMessaging.Server;

return await ServerApp.RunAsync(args);
