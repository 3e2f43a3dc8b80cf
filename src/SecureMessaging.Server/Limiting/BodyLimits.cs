using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using SecureMessaging.Protocol;
using SecureMessaging.Server.Platform.Http;
using SecureMessaging.Server.Platform.Identity;

namespace SecureMessaging.Server.Limiting;

/// <summary>Bounds the bytes of request bodies in flight per account (per address before authentication), and per address in total.</summary>
/// <remarks>
/// A body is in memory until all of it has arrived, and a slow client may take hours for the rest. Counters exist only while such requests run.
/// </remarks>
internal static class BodyLimits
{
    private const long OfOne = 64 * 1024 * 1024;
    private const long OfAddress = 4 * OfOne;

    public static void UseBodyLimits(this WebApplication app)
    {
        if (!app.Services.GetRequiredService<IOptions<RateLimitOptions>>().Value.Enabled)
            return;
        var (ones, addresses) = (new Held(OfOne), new Held(OfAddress));
        app.Use((context, next) => Size(context) is var size and > 0 ? LimitAsync(context, next, size) : next(context));

        async Task LimitAsync(HttpContext context, RequestDelegate next, long size)
        {
            var address = ClientAddress.Of(context);
            var one = context.User.Identity?.IsAuthenticated == true ? Caller.From(context.User).UserId : address;
            if (!ones.TryTake(one, size))
            {
                await RefuseAsync(context);
                return;
            }

            try
            {
                if (!addresses.TryTake(address, size))
                {
                    await RefuseAsync(context);
                    return;
                }

                try
                {
                    await next(context);
                }
                finally
                {
                    addresses.Return(address, size);
                }
            }
            finally
            {
                ones.Return(one, size);
            }
        }
    }

    /// <summary>The most bytes that the body may have, if its length is unknown.</summary>
    private static long Size(HttpContext context)
    {
        // A WebSocket has no body, also over HTTP/2.
        if (context.AsksForWebSocket() || context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true })
            return 0;
        var most = context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize ?? OfOne;
        return Math.Min(context.Request.ContentLength ?? most, most);
    }

    private static Task RefuseAsync(HttpContext context) => ProblemMapper.WriteAsync(
        context,
        new ErrorBody(ErrorCode.RateLimited, "Too many bytes of requests are in flight at once.", Retryable: true, RetryAfterMs: 1000),
        context.RequestAborted);

    private sealed class Held(long most)
    {
        private readonly ConcurrentDictionary<Guid, long> bytes = new();

        public bool TryTake(Guid key, long size)
        {
            if (bytes.AddOrUpdate(key, static (_, size) => size, static (_, held, size) => held + size, size) <= most)
                return true;
            Return(key, size);
            return false;
        }

        public void Return(Guid key, long size)
        {
            if (bytes.AddOrUpdate(key, static (_, _) => 0, static (_, held, size) => held - size, size) == 0)
                bytes.TryRemove(KeyValuePair.Create(key, 0L));
        }
    }
}
