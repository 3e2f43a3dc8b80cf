using System.Globalization;
using System.Text;
using SecureMessaging.Faults.Processes;
using SecureMessaging.Tests.Harness;

namespace SecureMessaging.Load.Subjects;

/// <summary>One nginx with a port for each server behind it: TLS outside, HTTP inside.</summary>
internal sealed class Nginx(string directory, Certificate certificate) : IAsyncDisposable
{
    private readonly Dictionary<int, int> ports = [];
    private Child? process;

    public Child Process => process ?? throw new InvalidOperationException("nginx is not started.");

    /// <summary>Its port in front of a server's. Before the start.</summary>
    public int InFrontOf(int port) => ports.TryGetValue(port, out var known) ? known : ports[port] = Ports.Take();

    public async Task StartAsync()
    {
        var servers = new StringBuilder();
        foreach (var (server, front) in ports)
        {
            servers.Append(CultureInfo.InvariantCulture, $$"""
                  upstream server{{server}} {
                    server 127.0.0.1:{{server}};
                    keepalive 64;
                  }
                  server {
                    listen 127.0.0.1:{{front}} ssl backlog=4096;
                    location / {
                      proxy_pass http://server{{server}};
                      proxy_http_version 1.1;
                      proxy_set_header Host $host;
                      proxy_set_header Upgrade $http_upgrade;
                      proxy_set_header Connection upgrade;
                      proxy_read_timeout 1h;
                      proxy_send_timeout 1h;
                    }
                  }

                """);
        }

        var configuration = Path.Combine(directory, "nginx.conf");
        await File.WriteAllTextAsync(configuration, $$"""
            daemon off;
            pid {{directory}}/nginx.pid;
            worker_processes auto;
            worker_rlimit_nofile 65536;
            events { worker_connections 32768; }
            http {
              access_log off;
              error_log stderr crit;
              client_body_temp_path {{directory}}/body;
              proxy_temp_path {{directory}}/proxy;
              fastcgi_temp_path {{directory}}/fastcgi;
              uwsgi_temp_path {{directory}}/uwsgi;
              scgi_temp_path {{directory}}/scgi;
              ssl_certificate {{certificate.Pem}};
              ssl_certificate_key {{certificate.Key}};
            {{servers}}
            }
            """);
        process = new Child("nginx", ["-p", directory, "-c", configuration]);
        // Its own process becomes the master, and its log has nothing to say when all is well.
        for (var i = 0; i < 100 && !File.Exists(Path.Combine(directory, "nginx.pid")); i++)
        {
            if (process.HasExited)
                throw new InvalidOperationException($"nginx has ended: {process.Output}");
            await Task.Delay(50);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
            await process.DisposeAsync();
    }
}
