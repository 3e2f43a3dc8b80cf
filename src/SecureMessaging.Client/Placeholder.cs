namespace SecureMessaging.Client;
